use std::fmt;
use std::future::Future;
use std::time::Duration;

use bowline_protocol::status::CloseCode;
use bowline_runtime::BoxFuture;
use http::Extensions;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;

/// Tells from a request who is calling; what [`identify`](crate::ServerBuilder::identify) takes.
///
/// Implemented for functions and closures, `async` or returning a future, from `&Parts` to
/// `Result<I, Refused>`, where `I` is the application's own type.
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

/// What a session knows from its request: extensions, and among them the application's own type; or why it is
/// closed at once.
pub(crate) type Admission = Result<Extensions, Refused>;

/// How long a request may take to be identified; the same as the rest of the connect. Source: our choice.
const TIME: Duration = Duration::from_secs(10);

/// The function of the application, or none.
#[derive(Default)]
pub(crate) struct Identifier(Option<Boxed>);

type Boxed = Box<dyn for<'a> Fn(&'a Parts) -> BoxFuture<'a, Admission> + Send + Sync>;

impl Identifier {
    pub(crate) fn new<F, I>(function: F) -> Self
    where
        F: for<'a> Identify<'a, I> + 'static,
        I: Clone + Send + Sync + 'static,
    {
        Self(Some(Box::new(move |parts| {
            let identity = function.identify(parts);
            Box::pin(async move { Ok(of(identity.await?)) })
        })))
    }

    /// Finds out who sent the request; what layers put into it comes along.
    pub(crate) async fn admit(&self, parts: &Parts) -> Admission {
        let identity = match &self.0 {
            None => Extensions::new(),
            Some(function) => bowline_runtime::timeout(TIME, function(parts)).await.unwrap_or_else(|_| {
                tracing::warn!("telling who sent a request took too long");
                Err(Refused::unavailable("the server could not tell in time who is calling"))
            })?,
        };
        let mut extensions = parts.extensions.clone();
        // The connection itself is not for handlers.
        extensions.remove::<OnUpgrade>();
        extensions.extend(identity);
        Ok(extensions)
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
        f.debug_tuple("Identifier").field(&self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            Identifier::new(by_path),
            Identifier::new(async |parts: &Parts| by_path(parts).await),
            Identifier::new(|parts: &Parts| {
                let path = parts.uri.to_string();
                async move { Ok(path) }
            }),
        ];
        for form in forms {
            let extensions = form.admit(&parts("/ada")).await.unwrap();
            assert_eq!(extensions.get::<String>().unwrap(), "/ada");
        }
        assert!(Identifier::default().admit(&parts("/")).await.unwrap().is_empty());
        assert_eq!(
            Identifier::new(by_path).admit(&parts("/")).await.unwrap_err().code(),
            CloseCode::FORBIDDEN
        );
    }

    #[tokio::test]
    async fn what_layers_found_out_comes_along_and_the_identity_wins() {
        let mut parts = parts("/ada");
        parts.extensions.insert(7_u8);
        parts.extensions.insert("somebody else".to_owned());
        let extensions = Identifier::new(by_path).admit(&parts).await.unwrap();
        assert_eq!((extensions.get::<u8>(), &**extensions.get::<String>().unwrap()), (Some(&7), "/ada"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_identifier_that_hangs_is_given_up() {
        let form = Identifier::new(|_: &Parts| std::future::pending::<Result<(), Refused>>());
        assert_eq!(form.admit(&parts("/")).await.unwrap_err().code(), CloseCode::TRY_AGAIN);
    }
}
