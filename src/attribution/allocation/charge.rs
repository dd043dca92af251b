//! What the rules see of one charge.

use super::rules::Field;

/// Tag keys that name a service, most specific first.
const SERVICE_TAGS: [&str; 6] =
    ["service_name", "service", "app_kubernetes_io/name", "kubernetes_deployment", "app", "application"];

/// Tag keys that name a tenant.
const TENANT_TAGS: [&str; 4] = ["tenant_id", "tenant", "customer_id", "customer"];

/// One charge.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Charge<'a> {
    /// When its period begins, microseconds since the epoch.
    pub at: i64,
    /// The amount in units of 10⁻¹².
    pub amount: i128,
    /// Currency; amounts of different ones are never added.
    pub currency: &'a str,
    /// FOCUS `BillingAccountId`.
    pub billing_account_id: Option<&'a str>,
    /// FOCUS `SubAccountId`.
    pub sub_account_id: Option<&'a str>,
    /// FOCUS `SubAccountName`.
    pub sub_account_name: Option<&'a str>,
    /// FOCUS `ServiceName`.
    pub provider_service_name: Option<&'a str>,
    /// FOCUS `ServiceCategory`.
    pub service_category: Option<&'a str>,
    /// FOCUS `RegionId`.
    pub region_id: Option<&'a str>,
    /// FOCUS `ResourceId`.
    pub resource_id: Option<&'a str>,
    /// FOCUS `ResourceName`.
    pub resource_name: Option<&'a str>,
    /// FOCUS `ResourceType`.
    pub resource_type: Option<&'a str>,
    /// FOCUS `Tags`.
    pub tags: &'a [(&'a str, &'a str)],
}

/// What the second pass needs of a charge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Claimed<'a> {
    /// When its period begins, microseconds since the epoch.
    pub at: i64,
    /// The amount in units of 10⁻¹².
    pub amount: i128,
    /// [`tenant_of`] its tags.
    pub tenant: Option<&'a str>,
    /// [`service_of`] its tags.
    pub service: Option<&'a str>,
}

impl<'a> Charge<'a> {
    /// What the second pass needs.
    #[must_use]
    pub fn claimed(&self) -> Claimed<'a> {
        Claimed { at: self.at, amount: self.amount, tenant: tenant_of(self.tags), service: service_of(self.tags) }
    }

    /// The value of a tag; keys are compared as `same_key` does, blank values are none.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&'a str> {
        tag(self.tags, key)
    }

    /// Whether any tag has a value.
    #[must_use]
    pub fn is_tagged(&self) -> bool {
        self.tags.iter().any(|(_, value)| !value.trim().is_empty())
    }

    /// The value of a field that limits a pool.
    #[must_use]
    pub fn field(&self, field: &Field) -> Option<&'a str> {
        match field {
            Field::BillingAccount => self.billing_account_id,
            Field::SubAccount => self.sub_account_id,
            Field::Region => self.region_id,
            Field::ProviderService => self.provider_service_name,
            Field::ServiceCategory => self.service_category,
            Field::ResourceType => self.resource_type,
            Field::Tag(key) => self.tag(key),
        }
    }
}

/// The service that the tags name.
#[must_use]
pub fn service_of<'a>(tags: &[(&'a str, &'a str)]) -> Option<&'a str> {
    SERVICE_TAGS.iter().find_map(|key| tag(tags, key))
}

/// The tenant that the tags name.
#[must_use]
pub fn tenant_of<'a>(tags: &[(&'a str, &'a str)]) -> Option<&'a str> {
    TENANT_TAGS.iter().find_map(|key| tag(tags, key))
}

fn tag<'a>(tags: &[(&'a str, &'a str)], key: &str) -> Option<&'a str> {
    let found = tags.iter().find(|(name, value)| same_key(name, key) && !value.trim().is_empty());
    found.map(|(_, value)| value.trim())
}

/// Whether two tag keys are the same but for case, surrounding blanks, the separators that people use (`-`, `_`, `.`,
/// `:` and blanks), and the `user:` that AWS puts before a user's own keys.
#[must_use]
pub fn same_key(a: &str, b: &str) -> bool {
    let plain = |key: char| match key {
        '-' | '.' | ':' | ' ' => '_',
        other => other.to_ascii_lowercase(),
    };
    let own = |key: &'_ str| -> usize {
        let user = key
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("user:") || start.eq_ignore_ascii_case("user_"));
        if user { 5 } else { 0 }
    };
    let (a, b) = (a.trim(), b.trim());
    let (a, b) = (a.get(own(a)..).unwrap_or(a), b.get(own(b)..).unwrap_or(b));
    a.len() == b.len() && a.chars().map(plain).eq(b.chars().map(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_keys_are_compared_as_people_write_them() {
        for same in [
            "cost_center",
            "Cost-Center",
            " cost center ",
            "user:CostCenter".replace("CostCenter", "Cost.Center").as_str(),
        ] {
            assert!(same_key(same, "cost_center"), "{same}");
        }
        assert!(!same_key("costs", "cost"));
        assert!(same_key("user_id", "user_id"));
        assert!(!same_key("é", "ee"));
    }

    #[test]
    fn blank_tags_say_nothing() {
        let tags = [("Team", "  "), ("app", " cart "), ("Tenant", "t1")];
        let charge = Charge { tags: &tags, ..Charge::default() };
        assert_eq!(charge.tag("team"), None);
        assert_eq!(service_of(&tags), Some("cart"));
        assert_eq!(tenant_of(&tags), Some("t1"));
        assert!(charge.is_tagged());
        assert!(!Charge { tags: &tags[..1], ..Charge::default() }.is_tagged());
    }
}
