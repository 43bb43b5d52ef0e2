use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

use bowline_protocol::envelope::Secret;
use bowline_protocol::registry::Who;
use bowline_protocol::status::CloseCode;
use bowline_runtime::BoxFuture;
use http::Extensions;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;

use crate::address::{Locate, of_connection};
use crate::digest::{Role, digest};

/// Tells from a request who is calling; what [`identify`](crate::ServerBuilder::identify) takes.
///
/// Implemented for `async` functions, and for closures that return a future, from `&Parts` to
/// `Result<I, Refused>`, where `I` is the application's own type.
///
/// # Examples
///
/// A closure with something of its own, say keys or a pool. Its future can borrow neither that nor the request: it gets clones
/// of what it needs. (An `async` closure works as long as it captures nothing.)
///
/// ```
/// use std::{collections::HashMap, sync::Arc};
///
/// use bowline_server::{Credentials, Refused, Server};
/// use http::request::Parts;
/// use tokio::sync::RwLock;
///
/// #[derive(Clone, Hash)]
/// struct User(String);
///
/// /// Who has which token.
/// type Tokens = Arc<RwLock<HashMap<String, String>>>;
///
/// let tokens = Tokens::default();
/// let server = Server::builder()
///     .identify(move |parts: &Parts| {
///         let tokens = tokens.clone();
///         let shown = parts.extensions.get::<Credentials>().cloned();
///         async move {
///             let token = shown.as_ref().and_then(Credentials::expose_str);
///             let token = token.ok_or_else(|| Refused::unauthenticated("log in first"))?;
///             let name = tokens.read().await.get(token).cloned();
///             name.map(User).ok_or_else(|| Refused::unauthenticated("this login has ended"))
///         }
///     })
///     .build();
/// # let _ = server;
/// ```
pub trait Identify<'a, I>: Send + Sync {
    /// What the function returns.
    type Future: Future<Output = Result<I, Refused>> + Send + 'a;

    /// Looks at the request.
    fn identify(&self, parts: &'a Parts) -> Self::Future;
}

impl<'a, F, Fut, I> Identify<'a, I> for F
where
    F: Fn(&'a Parts) -> Fut + Send + Sync,
    Fut: Future<Output = Result<I, Refused>> + Send + 'a,
{
    type Future = Fut;

    fn identify(&self, parts: &'a Parts) -> Fut {
        self(parts)
    }
}

/// Why somebody may not connect.
///
/// A browser's page can't see the HTTP status of a refused upgrade, so the link is opened and closed at once, with
/// a code that the client shows as `Refused { code, reason }`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused ({code}): {reason}")]
pub struct Refused {
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
}

impl Refused {
    /// The credentials are missing or wrong: 4500. The client stops connecting.
    pub fn unauthenticated(reason: impl Into<String>) -> Self {
        Self { code: CloseCode::BAD_CREDENTIALS, reason: reason.into() }
    }

    /// The caller is known and may not connect: 4503. The client stops connecting.
    pub fn forbidden(reason: impl Into<String>) -> Self {
        Self { code: CloseCode::FORBIDDEN, reason: reason.into() }
    }

    /// Who is calling can't be told right now: 1013. The client tries again.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self { code: CloseCode::TRY_AGAIN, reason: reason.into() }
    }

    /// The close code that this refusal becomes.
    pub fn code(&self) -> CloseCode {
        self.code
    }

    /// The sentence for people. It reaches the caller.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// What a client shows to say who it is: the credentials of its hello, which stand in no URL and no header.
///
/// [`identify`](crate::ServerBuilder::identify) finds them among the extensions of the request:
/// `parts.extensions.get::<Credentials>()`. Empty credentials are not there. Handlers don't see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials(Secret);

impl Credentials {
    /// Credentials as a client would send them, for tests of an application's own function.
    pub fn new(credentials: impl Into<Secret>) -> Self {
        Self(credentials.into())
    }

    /// The bytes; at most 8 KiB.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// The bytes as text; `None` when they are none.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(self.0.expose()).ok()
    }
}

/// What a session knows of its caller.
#[derive(Debug, Clone, Default)]
pub(crate) struct Admitted {
    /// What layers around the upgrade found out, and among it the application's own type.
    pub(crate) extensions: Extensions,
    pub(crate) who: Who,
}

/// Who is calling; or why the link is closed at once.
pub(crate) type Admission = Result<Admitted, Refused>;

/// How long a request may take to be identified; the same as the rest of the connect. Source: our choice.
const TIME: Duration = Duration::from_secs(10);

/// The functions of the application, or none.
#[derive(Default)]
pub(crate) struct Identifier {
    function: Option<Boxed>,
    /// What tells the network address; without it, that of the connection counts.
    locate: Option<Locate>,
}

type Boxed =
    Box<dyn for<'a> Fn(&'a Parts) -> BoxFuture<'a, Result<(Extensions, u128), Refused>> + Send + Sync>;

impl Identifier {
    /// Says who is calling.
    pub(crate) fn identify<F, I>(&mut self, function: F)
    where
        F: for<'a> Identify<'a, I> + 'static,
        I: Clone + Hash + Send + Sync + 'static,
    {
        let function: Boxed = Box::new(move |parts| {
            let identity = function.identify(parts);
            Box::pin(async move {
                let identity = identity.await?;
                let digest = digest(Role::Identity, &identity);
                Ok((of(identity), digest))
            })
        });
        self.function = Some(function);
    }

    /// Says from where.
    pub(crate) fn locate(&mut self, function: Locate) {
        self.locate = Some(function);
    }

    /// Finds out who sent the request; what layers put into it comes along.
    pub(crate) async fn admit(&self, parts: &Parts) -> Admission {
        let (identity, digest) = match &self.function {
            None => (Extensions::new(), None),
            Some(function) => {
                let identified = bowline_runtime::timeout(TIME, function(parts)).await;
                let (identity, digest) = identified.unwrap_or_else(|_| {
                    tracing::warn!("telling who sent a request took too long");
                    Err(Refused::unavailable("the server could not tell in time who is calling"))
                })?;
                (identity, Some(digest))
            }
        };
        let mut extensions = parts.extensions.clone();
        // The connection itself is not for handlers, and neither is what proves who calls.
        extensions.remove::<OnUpgrade>();
        extensions.remove::<Credentials>();
        extensions.extend(identity);
        let address = match &self.locate {
            None => of_connection(parts),
            Some(locate) => locate(parts),
        };
        Ok(Admitted { extensions, who: Who { identity: digest, address } })
    }

    /// As [`admit`](Self::admit), with what the hello showed.
    pub(crate) async fn admit_with(&self, parts: &mut Parts, credentials: &Secret) -> Admission {
        // Whatever the request pretended: credentials come from the hello alone.
        parts.extensions.remove::<Credentials>();
        if !credentials.is_empty() {
            parts.extensions.insert(Credentials(credentials.clone()));
        }
        self.admit(parts).await
    }
}

/// Extensions that hold this identity and nothing else.
pub(crate) fn of<I: Clone + Send + Sync + 'static>(identity: I) -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(identity);
    extensions
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identifier").field(&self.function.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};
    use std::sync::Arc;

    use axum::extract::ConnectInfo;
    use tokio::sync::Mutex;

    use super::*;

    fn identified<F, I>(function: F) -> Identifier
    where
        F: for<'a> Identify<'a, I> + 'static,
        I: Clone + Hash + Send + Sync + 'static,
    {
        let mut identifier = Identifier::default();
        identifier.identify(function);
        identifier
    }

    fn parts(path: &str) -> Parts {
        http::Request::builder().uri(path).body(()).unwrap().into_parts().0
    }

    async fn by_path(parts: &Parts) -> Result<String, Refused> {
        if parts.uri.path() == "/" {
            Err(Refused::forbidden("name a user"))
        } else {
            Ok(parts.uri.to_string())
        }
    }

    #[tokio::test]
    async fn functions_and_closures_of_every_form_identify() {
        let forms = [
            identified(by_path),
            identified(async |parts: &Parts| by_path(parts).await),
            identified(|parts: &Parts| {
                let path = parts.uri.to_string();
                async move { Ok(path) }
            }),
            identified({
                let known = Arc::new(Mutex::new("/ada".to_owned()));
                move |parts: &Parts| {
                    let (path, known) = (parts.uri.to_string(), known.clone());
                    async move {
                        if *known.lock().await == path { Ok(path) } else { Err(Refused::forbidden("who?")) }
                    }
                }
            }),
        ];
        for form in forms {
            let extensions = form.admit(&parts("/ada")).await.unwrap().extensions;
            assert_eq!(extensions.get::<String>().unwrap(), "/ada");
        }
        let nobody = Identifier::default().admit(&parts("/")).await.unwrap();
        assert!(nobody.extensions.is_empty());
        assert_eq!(nobody.who, Who::default());
        assert_eq!(identified(by_path).admit(&parts("/")).await.unwrap_err().code(), CloseCode::FORBIDDEN);
    }

    #[tokio::test]
    async fn what_layers_found_out_comes_along_and_the_identity_wins() {
        let mut parts = parts("/ada");
        parts.extensions.insert(7_u8);
        parts.extensions.insert("somebody else".to_owned());
        let extensions = identified(by_path).admit(&parts).await.unwrap().extensions;
        assert_eq!((extensions.get::<u8>(), &**extensions.get::<String>().unwrap()), (Some(&7), "/ada"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_identifier_that_hangs_is_given_up() {
        let form = identified(|_: &Parts| std::future::pending::<Result<(), Refused>>());
        assert_eq!(form.admit(&parts("/")).await.unwrap_err().code(), CloseCode::TRY_AGAIN);
    }
    #[tokio::test]
    async fn credentials_come_from_the_hello_alone_and_reach_no_handler() {
        async fn by_token(parts: &Parts) -> Result<String, Refused> {
            let credentials = parts.extensions.get::<Credentials>();
            let token = credentials.and_then(Credentials::expose_str).map(str::to_owned);
            token.ok_or_else(|| Refused::unauthenticated("no token"))
        }
        let form = identified(by_token);
        let mut parts = parts("/");
        parts.extensions.insert(Credentials::new("forged"));
        let admitted = form.admit_with(&mut parts, &Secret::from("ada")).await.unwrap();
        assert_eq!(admitted.extensions.get::<String>().unwrap(), "ada");
        assert!(admitted.extensions.get::<Credentials>().is_none());
        assert_eq!(
            form.admit_with(&mut parts, &Secret::default()).await.unwrap_err().code(),
            CloseCode::BAD_CREDENTIALS
        );
        assert!(!format!("{:?}", Credentials::new("hunter2")).contains("hunter2"));
    }

    #[tokio::test]
    async fn equal_identities_have_one_digest_at_every_server_and_different_ones_do_not() {
        let (form, other) = (identified(by_path), identified(by_path));
        let who =
            async |form: &Identifier, path| form.admit(&parts(path)).await.unwrap().who.identity.unwrap();
        let ada = who(&form, "/ada").await;
        assert_eq!(ada, who(&form, "/ada").await);
        assert_eq!(ada, who(&other, "/ada").await);
        assert_ne!(ada, who(&form, "/bob").await);
        assert_eq!(ada, digest(Role::Identity, &"/ada".to_owned()), "what is revoked");
    }

    #[tokio::test]
    async fn the_address_is_that_of_the_connection() {
        let mut parts = parts("/ada");
        parts.extensions.insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 9))));
        let who = Identifier::default().admit(&parts).await.unwrap().who;
        assert_eq!(who, Who { identity: None, address: Some([192, 0, 2, 1].into()) });

        let mut moved = Identifier::default();
        moved.locate(Box::new(|parts| parts.uri.path().strip_prefix('/')?.parse().ok()));
        // Whichever of the two is said first.
        moved.identify(by_path);
        let elsewhere: IpAddr = [203, 0, 113, 9].into();
        for (path, address) in [("/203.0.113.9", Some(elsewhere)), ("/ada", None)] {
            parts.uri = path.parse().unwrap();
            assert_eq!(moved.admit(&parts).await.unwrap().who.address, address, "{path}");
        }
    }
}
