-- title: Monthly chargeback
-- description: What each team pays for the month: what is its own, its share of what is shared, and how it compares with the month before. Whatever could not be attributed is a row of its own.
-- schedule: 0 6 3 * * Europe/Berlin
-- parameter: period_start timestamptz = date_trunc('month', $at) - interval '1 month'
-- parameter: period_end timestamptz = $period_start + interval '1 month'
-- parameter: prior_start timestamptz = $period_start - interval '1 month'
-- parameter: rule_set text = 'default'

-- section: by_owner
-- title: What each team pays
-- column: owner: Team
-- column: billing_currency: Currency
-- column: direct_cost: Direct, money, total
-- column: shared_cost: Shared, money, total
-- column: allocated_cost: Total, money, total
-- column: share: Share, percent
-- column: prior_cost: Month before, money, total
-- column: change: Change, money, total
-- chart: bar x=owner y=allocated_cost
WITH
  parts AS (
    SELECT owner, billing_currency, method, allocated_cost FROM allocate_cost($rule_set, $period_start, $period_end)
  ),
  now AS (
    SELECT
      owner, billing_currency,
      coalesce(sum(allocated_cost) FILTER (WHERE method = 'direct'), 0) AS direct_cost,
      coalesce(sum(allocated_cost) FILTER (WHERE method <> 'direct'), 0) AS shared_cost,
      sum(allocated_cost) AS allocated_cost
    FROM parts GROUP BY owner, billing_currency
  ),
  whole AS (SELECT billing_currency, sum(allocated_cost) AS cost FROM parts GROUP BY billing_currency),
  prior AS (
    SELECT owner, billing_currency, sum(allocated_cost) AS cost
    FROM allocate_cost($rule_set, $prior_start, $period_start) GROUP BY owner, billing_currency
  )
SELECT
  coalesce(now.owner, prior.owner) AS owner,
  coalesce(now.billing_currency, prior.billing_currency) AS billing_currency,
  coalesce(now.direct_cost, 0) AS direct_cost,
  coalesce(now.shared_cost, 0) AS shared_cost,
  coalesce(now.allocated_cost, 0) AS allocated_cost,
  CAST(now.allocated_cost AS double precision) / nullif(CAST(whole.cost AS double precision), 0) AS share,
  coalesce(prior.cost, 0) AS prior_cost,
  coalesce(now.allocated_cost, 0) - coalesce(prior.cost, 0) AS change
FROM now
FULL JOIN prior ON prior.owner = now.owner AND prior.billing_currency = now.billing_currency
LEFT JOIN whole ON whole.billing_currency = now.billing_currency
ORDER BY billing_currency, allocated_cost DESC, owner;

-- section: by_service
-- title: What it is paid for
-- description: The same amounts by the provider's service.
-- column: owner: Team
-- column: provider_service_name: Service
-- column: billing_currency: Currency
-- column: method: How
-- column: allocated_cost: Cost, money, total
-- chart: bar x=owner y=allocated_cost series=provider_service_name
SELECT owner, provider_service_name, billing_currency, method, sum(allocated_cost) AS allocated_cost
FROM allocate_cost($rule_set, $period_start, $period_end)
GROUP BY owner, provider_service_name, billing_currency, method
ORDER BY billing_currency, allocated_cost DESC, owner, provider_service_name, method;

-- section: not_attributed
-- title: What could not be attributed
-- description: Charges without an owner, by the reason. Tag the resource, record an owner, or add a rule, and the next run attributes them.
-- column: basis: Why
-- column: provider_service_name: Service
-- column: billing_currency: Currency
-- column: parts: Charges, number, total
-- column: allocated_cost: Cost, money, total
SELECT basis, provider_service_name, billing_currency, count(*) AS parts, sum(allocated_cost) AS allocated_cost
FROM allocate_cost($rule_set, $period_start, $period_end)
WHERE owner IN ('__unallocated__', '__idle__')
GROUP BY basis, provider_service_name, billing_currency
ORDER BY billing_currency, allocated_cost DESC, basis, provider_service_name;

-- section: check
-- title: Check
-- description: Every charge of the bill against the sum of its parts. Nothing is lost and nothing is counted twice when the residual is 0 and no charge is wrong.
-- column: billing_currency: Currency
-- column: charges: Charges, number, total
-- column: origin_cost: Billed, money, total
-- column: allocated_cost: Allocated, money, total
-- column: residual: Residual, number, total
-- column: wrong: Wrong charges, number, total
SELECT
  billing_currency, count(*) AS charges, sum(origin_cost) AS origin_cost, sum(allocated_cost) AS allocated_cost,
  sum(residual) AS residual, count(*) FILTER (WHERE residual <> 0) AS wrong
FROM allocation_check($rule_set, $period_start, $period_end)
GROUP BY billing_currency
ORDER BY billing_currency;
