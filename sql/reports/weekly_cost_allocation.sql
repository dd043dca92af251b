-- title: Weekly cost allocation
-- description: The cost of the last full week by team and day, what drove it, and what still has no owner.
-- schedule: 0 7 * * MON Europe/Berlin
-- parameter: period_start timestamptz = date_trunc('week', $at) - interval '7 days'
-- parameter: period_end timestamptz = $period_start + interval '7 days'
-- parameter: prior_start timestamptz = $period_start - interval '7 days'
-- parameter: rule_set text = 'default'

-- section: by_day
-- title: Cost by day
-- column: day: Day
-- column: owner: Team
-- column: billing_currency: Currency
-- column: allocated_cost: Cost, money, total
-- chart: line x=day y=allocated_cost series=owner
SELECT
  CAST(date_trunc('day', charge_period_start) AS date) AS day, owner, billing_currency,
  sum(allocated_cost) AS allocated_cost
FROM allocate_cost($rule_set, $period_start, $period_end)
GROUP BY 1, 2, 3
ORDER BY day, billing_currency, owner;

-- section: movers
-- title: What changed most
-- description: Against the week before, by team and the provider's service.
-- column: owner: Team
-- column: provider_service_name: Service
-- column: billing_currency: Currency
-- column: prior_cost: Week before, money, total
-- column: allocated_cost: This week, money, total
-- column: change: Change, money, total
-- chart: bar x=provider_service_name y=change
WITH
  now AS (
    SELECT owner, provider_service_name, billing_currency, sum(allocated_cost) AS cost
    FROM allocate_cost($rule_set, $period_start, $period_end)
    GROUP BY owner, provider_service_name, billing_currency
  ),
  prior AS (
    SELECT owner, provider_service_name, billing_currency, sum(allocated_cost) AS cost
    FROM allocate_cost($rule_set, $prior_start, $period_start)
    GROUP BY owner, provider_service_name, billing_currency
  )
SELECT
  coalesce(now.owner, prior.owner) AS owner,
  coalesce(now.provider_service_name, prior.provider_service_name) AS provider_service_name,
  coalesce(now.billing_currency, prior.billing_currency) AS billing_currency,
  coalesce(prior.cost, 0) AS prior_cost,
  coalesce(now.cost, 0) AS allocated_cost,
  coalesce(now.cost, 0) - coalesce(prior.cost, 0) AS change
FROM now
FULL JOIN prior
  ON prior.owner = now.owner
  AND (prior.provider_service_name IS NOT DISTINCT FROM now.provider_service_name)
  AND prior.billing_currency = now.billing_currency
ORDER BY abs(coalesce(now.cost, 0) - coalesce(prior.cost, 0)) DESC, owner, provider_service_name
LIMIT 50;

-- section: not_attributed
-- title: What still has no owner
-- column: basis: Why
-- column: provider_service_name: Service
-- column: resource_id: Resource
-- column: billing_currency: Currency
-- column: allocated_cost: Cost, money, total
SELECT basis, provider_service_name, resource_id, billing_currency, sum(allocated_cost) AS allocated_cost
FROM allocate_cost($rule_set, $period_start, $period_end)
WHERE owner IN ('__unallocated__', '__idle__')
GROUP BY basis, provider_service_name, resource_id, billing_currency
ORDER BY billing_currency, allocated_cost DESC, basis, provider_service_name, resource_id;

-- section: check
-- title: Check
-- description: Every charge of the week against the sum of its parts.
-- column: billing_currency: Currency
-- column: charges: Charges, number, total
-- column: origin_cost: Billed, money, total
-- column: allocated_cost: Allocated, money, total
-- column: residual: Residual, number, total
SELECT
  billing_currency, count(*) AS charges, sum(origin_cost) AS origin_cost, sum(allocated_cost) AS allocated_cost,
  sum(residual) AS residual
FROM allocation_check($rule_set, $period_start, $period_end)
GROUP BY billing_currency
ORDER BY billing_currency;
