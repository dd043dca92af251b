//! `ALTER VIEW … RENAME TO` and `ALTER TABLE … RENAME TO`.

use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};

use super::administer::{self, lake};
use super::define::{check_free, exists, reached};
use super::drop::{check_kind, check_not_built_in, in_public, is_own, missing, name_in_public};
use super::utility::Piece;
use crate::catalog::{Client, Own};
use crate::error::{Result, UserError};
use crate::storage::{RelationKind, Relations};

/// One relation that is to be called otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Rename {
    /// ALTER VIEW; of a table ALTER TABLE does the same, and of a view too.
    pub(super) view: bool,
    pub(super) name: ObjectName,
    pub(super) to: String,
    pub(super) if_exists: bool,
}

/// The statement, if it is one. The parser knows it of tables only.
pub(super) fn parse(pieces: &[Piece]) -> Option<Rename> {
    let [head @ .., Piece::Word(rename), Piece::Word(preposition), Piece::Word(to)] = pieces else { return None };
    let [Piece::Word(alter), Piece::Word(kind), name @ ..] = head else { return None };
    let view = match kind.as_str() {
        "view" => true,
        "table" => false,
        _ => return None,
    };
    if [alter.as_str(), rename.as_str(), preposition.as_str()] != ["alter", "rename", "to"] {
        return None;
    }
    let (if_exists, name) = match name {
        [Piece::Word(first), Piece::Word(second), name @ ..] if first == "if" && second == "exists" => (true, name),
        name => (false, name),
    };
    let part = |part: &[Piece]| match part {
        [Piece::Word(word)] => Some(Ident::with_quote('"', word)),
        _ => None,
    };
    let parts = name.split(|piece| matches!(piece, Piece::Symbol(dot) if dot == "."));
    let name = ObjectName::from(parts.map(part).collect::<Option<Vec<_>>>()?);
    Some(Rename { view, name, to: to.clone(), if_exists })
}

/// Call a relation otherwise. What is said of it in privileges, policies and masks is said of it by its new name.
pub(super) async fn relation(state: &SessionState, client: &Client, rename: &Rename) -> Result<Vec<UserError>> {
    let Rename { view, to, if_exists, .. } = rename;
    if is_own(client, &rename.name) {
        return own(state, client, rename).await;
    }
    let name = name_in_public(state, &rename.name)?;
    check_not_built_in(*view, &name)?;
    check_free(to)?;
    if client.own.read().contains_key(to) {
        return Err(exists(to).hint("a temporary view of the session is called so").into());
    }
    let lake = lake(state)?;
    let change = |known: &mut Relations| -> Result<bool> {
        let Some(found) = known.relations.get(&name) else {
            return if *if_exists { Ok(false) } else { Err(missing(*view, &name).into()) };
        };
        if *view {
            check_kind(true, &name, found)?;
        }
        if known.relations.contains_key(to) {
            return Err(exists(to).into());
        }
        let kind = if matches!(found.kind, RelationKind::View(_)) { "view" } else { "table" };
        let readers = known.relations.iter().filter_map(|(reader, relation)| match &relation.kind {
            RelationKind::View(view) if view.reads.contains(&name) => Some(reader.as_str()),
            _ => None,
        });
        check_readers(kind, &name, readers)?;
        if let RelationKind::View(view) = &found.kind
            && reached(known, &view.reads).contains(to)
        {
            return Err(UserError::new("42P17", format!("view \"{to}\" would be made of itself")).into());
        }
        if let Some(mut relation) = known.relations.remove(&name) {
            relation.changed_by = client.guard.as_ref().map_or_else(|| client.user(), |guard| guard.role()).to_owned();
            relation.changed_at = lake.clock().now_micros();
            known.relations.insert(to.clone(), relation);
        }
        Ok(true)
    };
    // What is wrong is found before anything is changed.
    if !change(&mut Relations::clone(&*lake.relations().current().await?))? {
        let message = format!("relation \"{name}\" does not exist, skipping");
        return Ok(vec![UserError::new("00000", message)]);
    }
    // What was said of something that was called so before is not said of this. Between the two changes that follow, only
    // those may read it who may read everything.
    administer::forget(state, client, std::slice::from_ref(to)).await?;
    if lake.relations().change(change).await? {
        administer::rename(state, client, &name, to).await?;
    }
    Ok(Vec::new())
}

/// The same of a temporary view.
async fn own(state: &SessionState, client: &Client, rename: &Rename) -> Result<Vec<UserError>> {
    let (Some(name), to) = (in_public(&rename.name), &rename.to) else { return Ok(Vec::new()) };
    check_free(to)?;
    let lasting = lake(state)?.relations().current().await?.relations.contains_key(to);
    let mut own = client.own.write();
    if lasting || own.contains_key(to) {
        return Err(exists(to).into());
    }
    let readers = own.iter().filter_map(|(reader, own)| match own {
        Own::View(view) if view.reads.contains(&name) => Some(reader.as_str()),
        _ => None,
    });
    check_readers("view", &name, readers)?;
    if let Some(view) = own.remove(&name) {
        own.insert(to.clone(), view);
    }
    Ok(Vec::new())
}

/// A view keeps its text, so what it names has to keep its name.
fn check_readers<'a>(kind: &str, name: &str, readers: impl Iterator<Item = &'a str>) -> Result<()> {
    let told: Vec<String> = readers.map(|reader| format!("view {reader} depends on {kind} {name}")).collect();
    if told.is_empty() {
        return Ok(());
    }
    let message = format!("cannot rename {kind} {name} because other objects depend on it");
    Err(UserError::new("2BP01", message)
        .detail(told.join("\n"))
        .hint("make those views anew without it before: CREATE OR REPLACE VIEW, or drop them")
        .into())
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    use super::*;
    use crate::session::utility::pieces;

    #[test]
    fn only_a_new_name_is_read() {
        let read = |sql: &str| {
            let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location().unwrap();
            parse(&pieces(&tokens)).map(|found| (found.view, found.name.to_string(), found.to, found.if_exists))
        };
        let is =
            |view: bool, name: &str, to: &str, if_exists: bool| Some((view, name.to_owned(), to.to_owned(), if_exists));
        assert_eq!(read("ALTER VIEW A rename TO b"), is(true, "\"a\"", "b", false));
        assert_eq!(
            read("alter table if exists public.\"A b\" rename to \"C\""),
            is(false, "\"public\".\"A b\"", "C", true)
        );
        for sql in [
            "ALTER TABLE a RENAME COLUMN b TO c",
            "ALTER TABLE a RENAME b TO c",
            "ALTER TABLE a RENAME TO b.c",
            "ALTER TABLE a.  RENAME TO b",
            "ALTER TABLE RENAME TO b",
            "ALTER INDEX a RENAME TO b",
            "ALTER ROLE a RENAME TO b",
        ] {
            assert_eq!(read(sql), None, "{sql}");
        }
    }
}
