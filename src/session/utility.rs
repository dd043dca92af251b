//! Statements about the session: settings, transactions, prepared statements, cursors. PostgreSQL's grammar of them.

use datafusion::sql::sqlparser::ast::{Expr, Statement as Ast};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::statement::Located;
use crate::dialect::folded;
use crate::error::{UserError, sqlstate};

/// A statement about the session.
#[derive(Debug, Clone)]
pub(crate) enum Utility {
    /// No value is the default.
    Set {
        name: String,
        value: Option<String>,
        local: bool,
    },
    Show(String),
    ShowAll,
    Reset(String),
    ResetAll,
    Begin(Modes),
    /// Of this transaction, or of those to come.
    SetTransaction {
        modes: Modes,
        session: bool,
    },
    Commit,
    Rollback,
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    DiscardAll,
    /// The temporary views.
    DiscardTemp,
    /// Plans, sequences: there is nothing of that kind to discard.
    DiscardNothing(&'static str),
    /// No name is all.
    Deallocate(Option<String>),
    Prepare {
        name: String,
        query: Box<Ast>,
    },
    Execute {
        name: String,
        arguments: Vec<Expr>,
    },
    Declare {
        name: String,
        hold: bool,
        binary: bool,
        query: Box<Ast>,
    },
    Fetch {
        name: String,
        count: Count,
        skip: bool,
    },
    /// No name is all.
    CloseCursor(Option<String>),
    /// Accepted and without a meaning here, with its tag.
    Nothing(&'static str),
}

/// What is said of a transaction: none where it is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Modes {
    pub(crate) isolation: Option<String>,
    pub(crate) read_only: Option<bool>,
    pub(crate) deferrable: Option<bool>,
}

/// How many rows to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    All,
    Rows(usize),
}

/// A token that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A name or keyword, in lower case unless it was quoted.
    Word(String),
    /// A string.
    Text(String),
    Number(String),
    Symbol(String),
}

impl Piece {
    pub(crate) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }
}

fn piece(token: &Token) -> Option<Piece> {
    Some(match token {
        Token::Whitespace(_) | Token::EOF => return None,
        Token::Word(word) if word.quote_style.is_some() => Piece::Word(word.value.clone()),
        Token::Word(word) => Piece::Word(word.value.to_lowercase()),
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => Piece::Text(text.clone()),
        Token::Number(number, _) => Piece::Number(number.clone()),
        other => Piece::Symbol(other.to_string()),
    })
}

pub(crate) fn pieces(tokens: &[TokenWithSpan]) -> Vec<Piece> {
    tokens.iter().filter_map(|token| piece(&token.token)).collect()
}

/// The statement, if its first word is that of one about the session. `inner` parses the statement inside, from a piece on.
pub(crate) fn parse(pieces: &[Piece], inner: impl Fn(usize) -> Located<Ast>) -> Option<Located<Utility>> {
    let first = pieces.first()?.word()?.to_owned();
    let mut words = Words { pieces, at: 1 };
    let found = match first.as_str() {
        "set" => words.set(),
        "show" => {
            words.name_of_setting().map(|name| if name == "all" { Utility::ShowAll } else { Utility::Show(name) })
        }
        "reset" => {
            words.name_of_setting().map(|name| if name == "all" { Utility::ResetAll } else { Utility::Reset(name) })
        }
        "begin" | "start" => words.begin(),
        "commit" | "end" => Some(Utility::Commit),
        "abort" => Some(Utility::Rollback),
        "rollback" => words.rollback(),
        "savepoint" => words.name().map(Utility::Savepoint),
        "release" => {
            words.accept("savepoint");
            words.name().map(Utility::Release)
        }
        "discard" => words.discard(),
        "deallocate" => {
            words.accept("prepare");
            words.all_or_name().map(Utility::Deallocate)
        }
        "close" => words.all_or_name().map(Utility::CloseCursor),
        "fetch" => words.fetch(false),
        "move" => words.fetch(true),
        "listen" => words.name().map(|_| Utility::Nothing("LISTEN")),
        "unlisten" => Some(Utility::Nothing("UNLISTEN")),
        "declare" => return Some(words.declare(inner)),
        "prepare" => return Some(prepare(inner)),
        "execute" => return Some(execute(inner)),
        _ => return None,
    };
    let complete =
        found.filter(|_| matches!(first.as_str(), "commit" | "end" | "abort" | "unlisten") || words.at >= pieces.len());
    let near = match words.pieces.get(words.at.min(pieces.len().saturating_sub(1))) {
        Some(Piece::Word(text) | Piece::Text(text) | Piece::Number(text) | Piece::Symbol(text)) => text.clone(),
        None => String::new(),
    };
    Some(
        complete.ok_or_else(|| (UserError::new(sqlstate::SYNTAX, format!("syntax error at or near \"{near}\"")), None)),
    )
}

fn prepare(inner: impl Fn(usize) -> Located<Ast>) -> Located<Utility> {
    match inner(0)? {
        Ast::Prepare { name, statement, data_types } => {
            let query = Ast::Prepare { name: name.clone(), statement, data_types };
            Ok(Utility::Prepare { name: folded(&name), query: Box::new(query) })
        }
        _ => Err((UserError::new(sqlstate::SYNTAX, "syntax error in PREPARE"), None)),
    }
}

fn execute(inner: impl Fn(usize) -> Located<Ast>) -> Located<Utility> {
    match inner(0)? {
        Ast::Execute { name: Some(name), parameters, .. } => {
            let name = name.0.last().and_then(|part| part.as_ident()).map(folded).unwrap_or_default();
            Ok(Utility::Execute { name, arguments: parameters })
        }
        _ => Err((UserError::new(sqlstate::SYNTAX, "syntax error in EXECUTE"), None)),
    }
}

/// Pieces that are read one after the other.
pub(crate) struct Words<'a> {
    pub(crate) pieces: &'a [Piece],
    pub(crate) at: usize,
}

impl Words<'_> {
    pub(crate) fn peek(&self) -> Option<&Piece> {
        self.pieces.get(self.at)
    }

    pub(crate) fn next(&mut self) -> Option<Piece> {
        let piece = self.pieces.get(self.at).cloned();
        self.at += 1;
        piece
    }

    pub(crate) fn accept(&mut self, word: &str) -> bool {
        let found = self.peek().and_then(Piece::word) == Some(word);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Piece::Symbol(text)) if text == symbol);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn name(&mut self) -> Option<String> {
        match self.next()? {
            Piece::Word(name) => Some(name),
            _ => None,
        }
    }

    fn all_or_name(&mut self) -> Option<Option<String>> {
        self.name().map(|name| Some(name).filter(|name| name != "all"))
    }

    /// `x`, `a.b`, `TIME ZONE`, `TRANSACTION ISOLATION LEVEL`, `SESSION AUTHORIZATION`.
    fn name_of_setting(&mut self) -> Option<String> {
        let first = self.name()?;
        let spelled = match first.as_str() {
            "time" if self.accept("zone") => "TimeZone",
            "session" if self.accept("authorization") => "session_authorization",
            "transaction" if self.accept("isolation") => {
                self.accept("level");
                "transaction_isolation"
            }
            _ => {
                let mut name = first;
                while self.symbol(".") {
                    name = format!("{name}.{}", self.name()?);
                }
                return Some(name);
            }
        };
        Some(spelled.to_owned())
    }

    fn set(&mut self) -> Option<Utility> {
        let local = self.accept("local");
        if !local && self.accept("session") {
            if self.accept("characteristics") {
                let _ = self.accept("as") && self.accept("transaction");
                return Some(Utility::SetTransaction { modes: self.modes()?, session: true });
            }
            if self.accept("authorization") {
                if self.accept("default") {
                    return Some(Utility::Nothing("SET"));
                }
                // Nobody becomes somebody else: the setting refuses another value.
                let value = self.values()?;
                return Some(Utility::Set { name: "session_authorization".to_owned(), value, local });
            }
        }
        if self.accept("transaction") {
            return Some(Utility::SetTransaction { modes: self.modes()?, session: false });
        }
        if self.accept("constraints") {
            self.at = self.pieces.len();
            return Some(Utility::Nothing("SET"));
        }
        if self.accept("time") {
            if !self.accept("zone") {
                return None;
            }
            let value = self.values()?;
            return Some(Utility::Set { name: "TimeZone".to_owned(), value, local });
        }
        if self.accept("names") {
            let value = self.values()?;
            return Some(Utility::Set { name: "client_encoding".to_owned(), value, local });
        }
        let name = self.name_of_setting()?;
        if !(self.symbol("=") || self.accept("to")) {
            return None;
        }
        let value = self.values()?;
        Some(Utility::Set { name, value, local })
    }

    /// The values to the end, joined by commas; none inside is DEFAULT.
    fn values(&mut self) -> Option<Option<String>> {
        if self.at + 1 == self.pieces.len() && self.accept("default") {
            return Some(None);
        }
        let mut values = Vec::new();
        loop {
            let negative = self.symbol("-");
            values.push(match self.next()? {
                Piece::Word(text) | Piece::Text(text) if !negative => text,
                Piece::Number(number) => format!("{}{number}", if negative { "-" } else { "" }),
                _ => return None,
            });
            if !self.symbol(",") {
                return Some(Some(values.join(", ")));
            }
        }
    }

    fn begin(&mut self) -> Option<Utility> {
        let _ = self.accept("work") || self.accept("transaction");
        Some(Utility::Begin(self.modes()?))
    }

    /// `ISOLATION LEVEL x`, `READ ONLY`, `READ WRITE`, `[NOT] DEFERRABLE`, with or without commas, to the end.
    fn modes(&mut self) -> Option<Modes> {
        let mut modes = Modes::default();
        while let Some(word) = self.peek().and_then(Piece::word).map(str::to_owned) {
            self.at += 1;
            match word.as_str() {
                "isolation" if self.accept("level") => {
                    let first = self.name()?;
                    modes.isolation = Some(match first.as_str() {
                        "serializable" => first,
                        "repeatable" if self.accept("read") => "repeatable read".to_owned(),
                        "read" if self.accept("committed") => "read committed".to_owned(),
                        "read" if self.accept("uncommitted") => "read uncommitted".to_owned(),
                        _ => return None,
                    });
                }
                "read" => {
                    modes.read_only = Some(self.accept("only"));
                    if modes.read_only == Some(false) && !self.accept("write") {
                        return None;
                    }
                }
                "deferrable" => modes.deferrable = Some(true),
                "not" if self.accept("deferrable") => modes.deferrable = Some(false),
                _ => return None,
            }
            self.symbol(",");
        }
        Some(modes)
    }

    fn rollback(&mut self) -> Option<Utility> {
        let _ = self.accept("work") || self.accept("transaction");
        if self.accept("to") {
            self.accept("savepoint");
            return self.name().map(Utility::RollbackTo);
        }
        if self.accept("and") {
            self.at = self.pieces.len();
        }
        Some(Utility::Rollback)
    }

    fn discard(&mut self) -> Option<Utility> {
        Some(match self.name()?.as_str() {
            "all" => Utility::DiscardAll,
            "plans" => Utility::DiscardNothing("DISCARD PLANS"),
            "sequences" => Utility::DiscardNothing("DISCARD SEQUENCES"),
            "temp" | "temporary" => Utility::DiscardTemp,
            _ => return None,
        })
    }

    /// `[NEXT | FORWARD [n | ALL] | n | ALL] [FROM | IN] name`. Backward is refused by the lack of a rule for it.
    fn fetch(&mut self, skip: bool) -> Option<Utility> {
        let mut count = Count::Rows(1);
        if self.accept("all") {
            count = Count::All;
        } else if let Some(rows) = self.number() {
            count = Count::Rows(rows);
        } else if self.accept("forward") {
            if self.accept("all") {
                count = Count::All;
            } else if let Some(rows) = self.number() {
                count = Count::Rows(rows);
            }
        } else {
            self.accept("next");
        }
        let _ = self.accept("from") || self.accept("in");
        self.name().map(|name| Utility::Fetch { name, count, skip })
    }

    fn number(&mut self) -> Option<usize> {
        let Some(Piece::Number(number)) = self.peek() else { return None };
        let number = number.parse().ok()?;
        self.at += 1;
        Some(number)
    }

    fn declare(&mut self, inner: impl Fn(usize) -> Located<Ast>) -> Located<Utility> {
        let syntax = || (UserError::new(sqlstate::SYNTAX, "syntax error in DECLARE"), None);
        let name = self.name().ok_or_else(syntax)?;
        let (mut hold, mut scroll, mut binary) = (false, false, false);
        while !self.accept("for") {
            match self.name().ok_or_else(syntax)?.as_str() {
                "with" => hold = self.accept("hold"),
                "without" | "hold" | "cursor" | "insensitive" | "asensitive" => {}
                "no" => {
                    self.accept("scroll");
                }
                "scroll" => scroll = true,
                "binary" => binary = true,
                _ => return Err(syntax()),
            }
        }
        if scroll {
            let error = UserError::new(sqlstate::NOT_SUPPORTED, "scroll cursors are not supported");
            return Err((error.hint("a cursor reads forward only: leave SCROLL out"), None));
        }
        let query = inner(self.at)?;
        if !matches!(query, Ast::Query(_)) {
            return Err((UserError::new(sqlstate::SYNTAX, "a cursor is declared for a query"), None));
        }
        Ok(Utility::Declare { name, hold, binary, query: Box::new(query) })
    }
}

/// Index in the tokens of the piece of that number.
pub(crate) fn token_of(tokens: &[TokenWithSpan], piece_at: usize) -> usize {
    let mut meaningful = tokens.iter().enumerate().filter(|(_, token)| piece(&token.token).is_some());
    meaningful.nth(piece_at).map_or(tokens.len(), |(at, _)| at)
}
