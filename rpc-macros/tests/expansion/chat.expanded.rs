/// A chat.
pub trait Chat: ::bowline::__private::MaybeSend + ::bowline::__private::MaybeSync + 'static {
    /// Posts a message and returns its id.
    fn post(
        &self,
        cx: &Context,
        room: String,
        text: String,
    ) -> impl ::core::future::Future<
        Output = Result<u64, PostError>,
    > + ::bowline::__private::MaybeSend;
    /// How long a clip is, in milliseconds.
    fn length(
        &self,
        clip: View<Clip>,
        speed: Option<f64>,
    ) -> impl ::core::future::Future<Output = u64> + ::bowline::__private::MaybeSend;
    /// Every message behind `after`, or from now on.
    fn messages(
        &self,
        room: String,
        after: Option<u64>,
    ) -> impl ::core::future::Future<
        Output = Result<
            impl Stream<Item = Message> + ::bowline::__private::MaybeSend,
            ChatError,
        >,
    > + ::bowline::__private::MaybeSend;
    /// Who is in the room.
    fn members(
        &self,
        room: String,
    ) -> impl Stream<Item = Vec<Member>> + ::bowline::__private::MaybeSend;
    /// Takes a file, returns its size.
    fn upload(
        &self,
        r#type: String,
        chunks: Streaming<Vec<u8>>,
    ) -> impl ::core::future::Future<
        Output = Result<u64, UploadError>,
    > + ::bowline::__private::MaybeSend;
    /// Strokes in, strokes out.
    #[cfg(feature = "draw")]
    fn draw(
        &self,
        strokes: Streaming<Stroke>,
    ) -> impl Stream<Item = Stroke> + ::bowline::__private::MaybeSend;
    /// Somebody is typing.
    fn typing(
        &self,
    ) -> impl ::core::future::Future<Output = ()> + ::bowline::__private::MaybeSend;
}
///Serves an implementation of [`Chat`].
#[allow(dead_code)]
pub struct ChatServer<S> {
    service: ::bowline::__private::Arc<S>,
}
#[allow(dead_code)]
impl<S> ChatServer<S> {
    /// Serves `service`.
    pub fn new(service: S) -> Self {
        Self::from_arc(::bowline::__private::Arc::new(service))
    }
    /// Serves `service`, which the application may hold as well.
    pub fn from_arc(service: ::bowline::__private::Arc<S>) -> Self {
        Self { service }
    }
}
impl<S> ::core::fmt::Debug for ChatServer<S> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct(::core::stringify!(ChatServer)).finish_non_exhaustive()
    }
}
///Calls a [`Chat`] over a channel.
#[derive(::core::clone::Clone, ::core::fmt::Debug)]
#[allow(dead_code)]
pub struct ChatClient {
    channel: ::bowline::__private::Channel,
}
const _: () = {
    #[allow(dead_code)]
    fn __post_answers()
    where
        u64: ::bowline::__private::Payload,
        PostError: ::bowline::__private::Payload,
    {}
    #[allow(dead_code)]
    fn __upload_answers()
    where
        u64: ::bowline::__private::Payload,
        UploadError: ::bowline::__private::Payload,
    {}
    #[::bowline::message(crate = ::bowline)]
    #[allow(dead_code)]
    struct __PostArgs {
        room: String,
        text: String,
    }
    #[::bowline::message(crate = ::bowline)]
    #[allow(dead_code)]
    struct __LengthArgs {
        clip: Clip,
        #[serde(default)]
        speed: Option<f64>,
    }
    #[::bowline::message(crate = ::bowline)]
    #[allow(dead_code)]
    struct __MessagesArgs {
        room: String,
        after: Option<u64>,
    }
    #[::bowline::message(crate = ::bowline)]
    #[allow(dead_code)]
    struct __MembersArgs {
        room: String,
    }
    #[::bowline::message(crate = ::bowline)]
    #[allow(dead_code)]
    struct __UploadArgs {
        r#type: String,
    }
    #[cfg(feature = "draw")]
    #[::bowline::message(crate = ::bowline)]
    #[allow(dead_code)]
    struct __DrawArgs {}
    #[::bowline::message(crate = ::bowline)]
    #[allow(dead_code)]
    struct __TypingArgs {}
    #[allow(dead_code, non_camel_case_types)]
    enum __Method {
        post,
        length,
        messages,
        members,
        upload,
        #[cfg(feature = "draw")]
        draw,
        typing,
    }
    static __SERVICE: ::bowline::__private::ServiceDescriptor = ::bowline::__private::ServiceDescriptor {
        name: "Chat",
        methods: &[
            ::bowline::__private::MethodDescriptor {
                name: "post",
                kind: ::bowline::__private::MethodKind::Unary,
                retry: ::bowline::__private::Retry::Once,
                hash: ::bowline::__private::hash_of_value::<
                    __PostArgs,
                    Result<u64, PostError>,
                >("Unary")
                    .finish(),
                deadline: ::core::option::Option::Some(
                    ::core::time::Duration::from_millis(2000u64),
                ),
                lag: ::bowline::__private::Lag::Close,
            },
            ::bowline::__private::MethodDescriptor {
                name: "length",
                kind: ::bowline::__private::MethodKind::Unary,
                retry: ::bowline::__private::Retry::Idempotent,
                hash: ::bowline::__private::hash_of_value::<__LengthArgs, u64>("Unary")
                    .finish(),
                deadline: ::core::option::Option::None,
                lag: ::bowline::__private::Lag::Close,
            },
            ::bowline::__private::MethodDescriptor {
                name: "messages",
                kind: ::bowline::__private::MethodKind::ServerStream,
                retry: ::bowline::__private::Retry::Never,
                hash: ::bowline::__private::hash_of_stream::<
                    __MessagesArgs,
                    Result<::bowline::__private::Items<Message>, ChatError>,
                >("ServerStream")
                    .finish(),
                deadline: ::core::option::Option::None,
                lag: ::bowline::__private::Lag::DropOldest,
            },
            ::bowline::__private::MethodDescriptor {
                name: "members",
                kind: ::bowline::__private::MethodKind::Watch,
                retry: ::bowline::__private::Retry::Never,
                hash: ::bowline::__private::hash_of_stream::<
                    __MembersArgs,
                    ::bowline::__private::Items<Vec<Member>>,
                >("Watch")
                    .finish(),
                deadline: ::core::option::Option::None,
                lag: ::bowline::__private::Lag::Close,
            },
            ::bowline::__private::MethodDescriptor {
                name: "upload",
                kind: ::bowline::__private::MethodKind::ClientStream,
                retry: ::bowline::__private::Retry::Never,
                hash: ::bowline::__private::hash_of_value::<
                    __UploadArgs,
                    Result<u64, UploadError>,
                >("ClientStream")
                    .hash(<Vec<u8> as ::bowline::__private::Payload>::HASH)
                    .finish(),
                deadline: ::core::option::Option::None,
                lag: ::bowline::__private::Lag::Close,
            },
            #[cfg(feature = "draw")]
            ::bowline::__private::MethodDescriptor {
                name: "draw",
                kind: ::bowline::__private::MethodKind::Bidirectional,
                retry: ::bowline::__private::Retry::Never,
                hash: ::bowline::__private::hash_of_stream::<
                    __DrawArgs,
                    ::bowline::__private::Items<Stroke>,
                >("Bidirectional")
                    .hash(<Stroke as ::bowline::__private::Payload>::HASH)
                    .finish(),
                deadline: ::core::option::Option::None,
                lag: ::bowline::__private::Lag::Close,
            },
            ::bowline::__private::MethodDescriptor {
                name: "typing",
                kind: ::bowline::__private::MethodKind::Notify,
                retry: ::bowline::__private::Retry::Never,
                hash: ::bowline::__private::hash_of_value::<__TypingArgs, ()>("Notify")
                    .finish(),
                deadline: ::core::option::Option::None,
                lag: ::bowline::__private::Lag::Close,
            },
        ],
    };
    #[allow(deprecated, unused_variables)]
    impl<__S: Chat> ::bowline::__private::Service for ChatServer<__S> {
        fn descriptor(&self) -> &'static ::bowline::__private::ServiceDescriptor {
            &__SERVICE
        }
        fn dispatch(
            &self,
            call: ::bowline::__private::Call,
        ) -> ::bowline::__private::ReplyFuture {
            let service = ::core::clone::Clone::clone(&self.service);
            match call.method_index() {
                number if number == __Method::post as usize => {
                    ::bowline::__private::unary(
                        call,
                        move |
                            cx: ::bowline::__private::Context,
                            __PostArgs { room, text }|
                        async move {
                            <__S as Chat>::post(&service, &cx, room, text).await
                        },
                    )
                }
                number if number == __Method::length as usize => {
                    ::bowline::__private::unary_view(
                        call,
                        |args: ::bowline::__private::View<__LengthArgs>| ::core::result::Result::Ok((
                            args.project::<Clip>(|args| &args.clip),
                            args.project::<Option<f64>>(|args| &args.speed).to_owned()?,
                        )),
                        move |_: ::bowline::__private::Context, (clip, speed)| async move {
                            <__S as Chat>::length(&service, clip, speed).await
                        },
                    )
                }
                number if number == __Method::messages as usize => {
                    ::bowline::__private::streaming(
                        call,
                        move |
                            _: ::bowline::__private::Context,
                            __MessagesArgs { room, after },
                            out: ::bowline::__private::Sink|
                        async move {
                            match <__S as Chat>::messages(&service, room, after).await {
                                ::core::result::Result::Ok(stream) => {
                                    out.drive(stream).await
                                }
                                ::core::result::Result::Err(error) => {
                                    out.refuse(error).await
                                }
                            }
                        },
                    )
                }
                number if number == __Method::members as usize => {
                    ::bowline::__private::streaming(
                        call,
                        move |
                            _: ::bowline::__private::Context,
                            __MembersArgs { room },
                            out: ::bowline::__private::Sink|
                        async move {
                            out.drive(<__S as Chat>::members(&service, room)).await
                        },
                    )
                }
                number if number == __Method::upload as usize => {
                    ::bowline::__private::client_streaming(
                        call,
                        move |
                            _: ::bowline::__private::Context,
                            __UploadArgs { r#type },
                            chunks: Streaming<Vec<u8>>|
                        async move {
                            <__S as Chat>::upload(&service, r#type, chunks).await
                        },
                    )
                }
                #[cfg(feature = "draw")]
                number if number == __Method::draw as usize => {
                    ::bowline::__private::bidirectional(
                        call,
                        move |
                            _: ::bowline::__private::Context,
                            __DrawArgs {},
                            strokes: Streaming<Stroke>,
                            out: ::bowline::__private::Sink|
                        async move {
                            out.drive(<__S as Chat>::draw(&service, strokes)).await
                        },
                    )
                }
                number if number == __Method::typing as usize => {
                    ::bowline::__private::notify(
                        call,
                        move |_: ::bowline::__private::Context, __TypingArgs {}| async move {
                            <__S as Chat>::typing(&service).await
                        },
                    )
                }
                _ => ::bowline::__private::unimplemented(call),
            }
        }
    }
    impl ::bowline::__private::ServiceClient for ChatClient {
        const SERVICE: &'static ::bowline::__private::ServiceDescriptor = &__SERVICE;
        fn from_channel(channel: ::bowline::__private::Channel) -> Self {
            Self { channel }
        }
        fn as_channel(&self) -> &::bowline::__private::Channel {
            &self.channel
        }
    }
    #[allow(dead_code, missing_docs, unused_variables, clippy::too_many_arguments)]
    impl ChatClient {
        /// Posts a message and returns its id.
        ///
        /// This call runs once: it is sent again by itself when the session was lost before the answer came, and a repeat gets the recorded answer of the first run. A handler that has started runs to its end, also when the call is dropped or its deadline passes.
        pub fn post(
            &self,
            room: String,
            text: String,
        ) -> ::bowline::__private::CallFuture<Result<u64, PostError>> {
            ::bowline::__private::CallFuture::new(
                &self.channel,
                &__SERVICE,
                __Method::post as usize,
                &__PostArgs { room, text },
            )
        }
        /// How long a clip is, in milliseconds.
        ///
        /// This call is idempotent: it is sent again by itself when the session was lost before the answer came, and when the other end was not available, all within its deadline. The handler may run more than once.
        pub fn length(
            &self,
            clip: Clip,
            speed: Option<f64>,
        ) -> ::bowline::__private::CallFuture<u64> {
            ::bowline::__private::CallFuture::new(
                &self.channel,
                &__SERVICE,
                __Method::length as usize,
                &__LengthArgs { clip, speed },
            )
        }
        /// Every message behind `after`, or from now on.
        ///
        /// Goes on by itself after a lost session, or after it lagged: behind the last item that was read, whose `id` it sends as `after`. A gap is shown only where there is no such item and no `after` to begin with.
        pub fn messages(
            &self,
            room: String,
            after: Option<u64>,
        ) -> ::bowline::__private::StreamFuture<
            ::bowline::__private::ItemOf<
                Result<::bowline::__private::Items<Message>, ChatError>,
            >,
            ::bowline::__private::StreamErrOf<
                Result<::bowline::__private::Items<Message>, ChatError>,
            >,
        > {
            ::bowline::__private::StreamFuture::<
                ::bowline::__private::ItemOf<
                    Result<::bowline::__private::Items<Message>, ChatError>,
                >,
                ::bowline::__private::StreamErrOf<
                    Result<::bowline::__private::Items<Message>, ChatError>,
                >,
            >::resuming(
                &self.channel,
                &__SERVICE,
                __Method::messages as usize,
                __MessagesArgs { room, after },
                |arguments| &mut arguments.after,
                |item| &item.id,
            )
        }
        /// Who is in the room.
        pub fn members(
            &self,
            room: String,
        ) -> ::bowline::__private::StreamFuture<
            ::bowline::__private::ItemOf<::bowline::__private::Items<Vec<Member>>>,
            ::bowline::__private::StreamErrOf<::bowline::__private::Items<Vec<Member>>>,
        > {
            ::bowline::__private::StreamFuture::new(
                &self.channel,
                &__SERVICE,
                __Method::members as usize,
                &__MembersArgs { room },
            )
        }
        /// Takes a file, returns its size.
        pub fn upload(
            &self,
            r#type: String,
            chunks: impl ::bowline::__private::Stream<
                Item = Vec<u8>,
            > + ::core::marker::Send + 'static,
        ) -> ::bowline::__private::CallFuture<Result<u64, UploadError>> {
            ::bowline::__private::CallFuture::with_upload(
                &self.channel,
                &__SERVICE,
                __Method::upload as usize,
                &__UploadArgs { r#type },
                chunks,
            )
        }
        /// Strokes in, strokes out.
        #[cfg(feature = "draw")]
        pub fn draw(
            &self,
            strokes: impl ::bowline::__private::Stream<
                Item = Stroke,
            > + ::core::marker::Send + 'static,
        ) -> ::bowline::__private::StreamFuture<
            ::bowline::__private::ItemOf<::bowline::__private::Items<Stroke>>,
            ::bowline::__private::StreamErrOf<::bowline::__private::Items<Stroke>>,
        > {
            ::bowline::__private::StreamFuture::with_upload(
                &self.channel,
                &__SERVICE,
                __Method::draw as usize,
                &__DrawArgs {},
                strokes,
            )
        }
        /// Somebody is typing.
        pub fn typing(&self) -> ::bowline::__private::NotifyFuture {
            ::bowline::__private::NotifyFuture::new(
                &self.channel,
                &__SERVICE,
                __Method::typing as usize,
                &__TypingArgs {},
            )
        }
    }
    ::bowline::__private::leptos_items! {
        #[allow(dead_code, deprecated)] impl ChatClient { #[doc =
        "[`post`](Self::post) as a query, with what `args` returns as its arguments."]
        #[doc = ""] #[doc = " Posts a message and returns its id."] pub fn post_query(&
        self, args : impl ::core::ops::Fn() -> (String, String) + ::core::marker::Send +
        ::core::marker::Sync + 'static) -> ::bowline::leptos::Query <
        ::bowline::__private::OkOf < Result < u64, PostError > >,
        ::bowline::__private::ErrOf < Result < u64, PostError > > > { let client =
        ::core::clone::Clone::clone(self); ::bowline::leptos::query(move || { let (room,
        text) = args(); client.post(room, text) }) } #[doc =
        "[`post`](Self::post) as an action."] #[doc = ""] #[doc =
        " Posts a message and returns its id."] pub fn post_action(& self) ->
        ::bowline::leptos::Action < (String, String), ::bowline::__private::OkOf < Result
        < u64, PostError > >, ::bowline::__private::ErrOf < Result < u64, PostError > > >
        { let client = ::core::clone::Clone::clone(self); ::bowline::leptos::action(move
        | (room, text) : (String, String) | client.post(room, text)) } #[doc =
        "[`length`](Self::length) as a query, with what `args` returns as its arguments."]
        #[doc = ""] #[doc = " How long a clip is, in milliseconds."] pub fn
        length_query(& self, args : impl ::core::ops::Fn() -> (Clip, Option < f64 >) +
        ::core::marker::Send + ::core::marker::Sync + 'static) ->
        ::bowline::leptos::Query < ::bowline::__private::OkOf < u64 >,
        ::bowline::__private::ErrOf < u64 > > { let client =
        ::core::clone::Clone::clone(self); ::bowline::leptos::query(move || { let (clip,
        speed) = args(); client.length(clip, speed) }) } #[doc =
        "[`length`](Self::length) as an action."] #[doc = ""] #[doc =
        " How long a clip is, in milliseconds."] pub fn length_action(& self) ->
        ::bowline::leptos::Action < (Clip, Option < f64 >), ::bowline::__private::OkOf <
        u64 >, ::bowline::__private::ErrOf < u64 > > { let client =
        ::core::clone::Clone::clone(self); ::bowline::leptos::action(move | (clip, speed)
        : (Clip, Option < f64 >) | client.length(clip, speed)) } #[doc =
        "[`messages`](Self::messages) as a signal, with what `args` returns as its arguments."]
        #[doc = ""] #[doc = " Every message behind `after`, or from now on."] pub fn
        messages_signal(& self, args : impl ::core::ops::Fn() -> (String, Option < u64 >)
        + ::core::marker::Send + ::core::marker::Sync + 'static) ->
        ::bowline::leptos::StreamSignal < ::bowline::__private::ItemOf < Result <
        ::bowline::__private::Items < Message >, ChatError > >,
        ::bowline::__private::StreamErrOf < Result < ::bowline::__private::Items <
        Message >, ChatError > > > { let client = ::core::clone::Clone::clone(self);
        ::bowline::leptos::stream(move || { let (room, after) = args(); client
        .messages(room, after) }) } #[doc =
        "[`members`](Self::members) as a signal, with what `args` returns as its arguments."]
        #[doc = ""] #[doc = " Who is in the room."] pub fn members_signal(& self, args :
        impl ::core::ops::Fn() -> String + ::core::marker::Send + ::core::marker::Sync +
        'static) -> ::bowline::leptos::Watch < ::bowline::__private::ItemOf <
        ::bowline::__private::Items < Vec < Member > > >,
        ::bowline::__private::StreamErrOf < ::bowline::__private::Items < Vec < Member >
        > > > { let client = ::core::clone::Clone::clone(self);
        ::bowline::leptos::watch(move || { let room = args(); client.members(room) }) }
        #[doc = "[`typing`](Self::typing) as an action."] #[doc = ""] #[doc =
        " Somebody is typing."] pub fn typing_action(& self) -> ::bowline::leptos::Action
        < (), (), ::core::convert::Infallible > { let client =
        ::core::clone::Clone::clone(self); ::bowline::leptos::action(move | () : () |
        client.typing()) } }
    }
};
