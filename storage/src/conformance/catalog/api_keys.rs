//! API keys.

use uuid::Uuid;

use super::CatalogPlace;
use super::predictions::time;
use crate::{ApiKey, AuditEntry, AuditFilter, Error, Scope};

fn key(name: &str, digit: char, scope: Scope) -> ApiKey {
    ApiKey::new(name, digit.to_string().repeat(64), scope)
}

/// Keys are found by their digest, listed newest first, and come back as they went in, also after reopening.
pub async fn api_keys_are_found_by_their_digest(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    assert!(catalog.api_keys().await.unwrap().is_empty());
    let mut second = key("a map", 'b', Scope::Reader);
    second.requests_per_minute = Some(90);
    second.coarsen_km = Some(12.5);
    second.id = Uuid::now_v7();
    let first = key("an operator", 'a', Scope::Admin);
    let entry = AuditEntry::new("keys.create", "an API key", serde_json::json!({}));
    for (key, audit) in [(&second, None), (&first, Some(&entry))] {
        catalog.insert_api_key(key, audit).await.unwrap();
    }
    for again in [&first, &key("another", 'b', Scope::Reader)] {
        let refused = catalog.insert_api_key(again, None).await.unwrap_err();
        assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    }
    drop(catalog);
    let catalog = at.open().await.unwrap();
    let mut wanted = [first.clone(), second.clone()];
    wanted.sort_by_key(|key| std::cmp::Reverse(key.id));
    assert_eq!(catalog.api_keys().await.unwrap(), wanted);
    assert_eq!(
        catalog.api_key_by_sha256(&second.sha256).await.unwrap(),
        Some(second)
    );
    assert_eq!(catalog.api_key_by_sha256(&"c".repeat(64)).await.unwrap(), None);
    let log = catalog.audit(&AuditFilter::default(), None, 9).await.unwrap();
    assert_eq!(log.iter().map(|entry| entry.id).collect::<Vec<_>>(), [entry.id]);
}

/// A revoked key stays listed with the time of its end; revoking it again changes nothing. Uses are remembered, never backwards.
pub async fn api_keys_are_revoked_and_remember_their_use(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let made = key("a script", 'd', Scope::Contributor);
    catalog.insert_api_key(&made, None).await.unwrap();
    catalog.touch_api_key(made.id, time(5)).await.unwrap();
    catalog.touch_api_key(made.id, time(3)).await.unwrap();
    let found = catalog.api_key_by_sha256(&made.sha256).await.unwrap().unwrap();
    assert_eq!((found.last_used_at, found.revoked_at), (Some(time(5)), None));

    let entry = AuditEntry::new("keys.revoke", "an API key", serde_json::json!({}));
    let revoked = catalog
        .revoke_api_key(made.id, time(7), Some(&entry))
        .await
        .unwrap();
    assert_eq!(revoked.revoked_at, Some(time(7)));
    let again = AuditEntry::new("keys.revoke", "an API key", serde_json::json!({}));
    let revoked = catalog
        .revoke_api_key(made.id, time(9), Some(&again))
        .await
        .unwrap();
    assert_eq!(revoked.revoked_at, Some(time(7)));
    assert_eq!(catalog.api_keys().await.unwrap(), [revoked]);
    let log = catalog.audit(&AuditFilter::default(), None, 9).await.unwrap();
    assert_eq!(log.len(), 1);

    let unknown = catalog
        .revoke_api_key(Uuid::now_v7(), time(9), None)
        .await
        .unwrap_err();
    assert!(unknown.is_not_found(), "{unknown}");
    catalog.touch_api_key(Uuid::now_v7(), time(9)).await.unwrap();
}

/// Names, digests, rates and distances without meaning are refused.
pub async fn bad_api_keys_are_refused(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let good = key("a name", 'e', Scope::Reader);
    let with = |change: &dyn Fn(&mut ApiKey)| {
        let mut key = good.clone();
        change(&mut key);
        key
    };
    let bad = [
        with(&|key| key.name.clear()),
        with(&|key| key.name = "line\nbreak".to_owned()),
        with(&|key| key.name = "x".repeat(65)),
        with(&|key| key.name = "a/b".to_owned()),
        with(&|key| key.sha256 = "e".repeat(63)),
        with(&|key| key.sha256 = "E".repeat(64)),
        with(&|key| key.requests_per_minute = Some(0)),
        with(&|key| key.coarsen_km = Some(-1.0)),
        with(&|key| key.coarsen_km = Some(f64::NAN)),
    ];
    for key in bad {
        let refused = catalog.insert_api_key(&key, None).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{key:?}: {refused}");
    }
    assert!(catalog.api_keys().await.unwrap().is_empty());
}
