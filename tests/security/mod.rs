//! Who may do what, as clients see it over sockets.

mod audit;
mod login;
mod privileges;
mod rows;

use ascribe::Database;
use ascribe::security::{Change, RoleOptions};
use ascribe::server::pgwire::LoginLimits;
use ascribe::server::{Serve, Server, serve};
use tokio_postgres::{Client, Config, NoTls};

use crate::pgwire::{code, simple};

pub(crate) const ADMIN: &str = "root";
pub(crate) const PASSWORD: &str = "correct horse";

/// A server of a lake with one administrator.
pub(crate) struct Guarded {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) server: Server,
}

pub(crate) fn change(database: &Database, change: Change) -> impl Future<Output = ascribe::error::Result<Vec<String>>> {
    let roles = std::sync::Arc::clone(database.roles());
    async move { roles.change("test", |state| state.apply(&change)).await }
}

impl Guarded {
    pub(crate) async fn start() -> Self {
        let login = LoginLimits { first: std::time::Duration::from_millis(300), ..LoginLimits::default() };
        Self::with(Serve { login, ..Serve::default() }).await
    }

    pub(crate) async fn with(options: Serve) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().display().to_string()).await.unwrap();
        let mut admin = RoleOptions { login: Some(true), superuser: Some(true), ..RoleOptions::default() };
        admin.password(PASSWORD).unwrap();
        change(&database, Change::CreateRole(ADMIN.to_owned(), admin)).await.unwrap();
        let options = Serve { listen: vec!["127.0.0.1:0".to_owned()], ..options };
        let server = serve(database, options).await.unwrap();
        Self { folder, server }
    }

    pub(crate) async fn try_connect(&self, user: &str, password: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.server.local_addr().port()).user(user).password(password);
        let (client, connection) = config.dbname("ascribe").application_name("tests").connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub(crate) async fn connect(&self, user: &str) -> Client {
        self.try_connect(user, PASSWORD).await.unwrap()
    }

    /// An administrator and a user who may do nothing yet, with rows of two tenants.
    pub(crate) async fn with_rows() -> (Self, Client, Client) {
        let guarded = Self::start().await;
        let admin = guarded.connect(ADMIN).await;
        simple(&admin, &format!("CREATE USER ada PASSWORD '{PASSWORD}'")).await;
        for (id, service, by) in [("c1", "cart", "ann"), ("c2", "cart", "bob"), ("c3", "payment", "ann")] {
            simple(
                &admin,
                &format!(
                    "INSERT INTO changes (change_id, service_name, kind, actor, started_at)
                     VALUES ('{id}', '{service}', 'deploy', '{by}', '2026-03-01 10:00:00+00')"
                ),
            )
            .await;
        }
        let ada = guarded.connect("ada").await;
        (guarded, admin, ada)
    }
}

/// The code of the error that a statement ends with.
pub(crate) async fn refused(client: &Client, sql: &str) -> (String, String) {
    match client.simple_query(sql).await {
        Ok(_) => panic!("not refused: {sql}"),
        Err(error) => (code(&error), error.as_db_error().map(|error| error.message().to_owned()).unwrap_or_default()),
    }
}
