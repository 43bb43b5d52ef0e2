/// What a codec can't see in a type by itself, and lists, options and maps have to know of their content.
///
/// Part of the hidden side of [`Schema`](super::Schema): written by `#[message]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Its archive takes no bytes: a list of such values can claim any length.
    pub empty: bool,
    /// Its JSON may be `null`: an option of it can't be told from none.
    pub null: bool,
    /// Its JSON is a string, a number or a boolean, which can name a member of an object.
    pub key: bool,
    /// Somewhere inside is a type that checks what it is made of.
    pub checked: bool,
}

impl Form {
    /// Nothing special.
    pub const PLAIN: Self = Self { empty: false, null: false, key: false, checked: false };
    /// A value that can be the key of a map.
    pub const KEY: Self = Self { key: true, ..Self::PLAIN };
    /// A value that may be `null`.
    pub const NULL: Self = Self { null: true, ..Self::PLAIN };
    /// A value without any content.
    pub const UNIT: Self = Self { empty: true, null: true, ..Self::PLAIN };
    /// A product without fields yet.
    pub const PRODUCT: Self = Self { empty: true, ..Self::PLAIN };
    /// A field marked as recursive, of which nothing is known.
    pub const UNKNOWN: Self = Self { checked: true, ..Self::PLAIN };

    /// A list or other container of `self`.
    pub const fn inside(self) -> Self {
        Self { checked: self.checked, ..Self::PLAIN }
    }

    /// An option of `self`.
    pub const fn optional(self) -> Self {
        Self { checked: self.checked, ..Self::NULL }
    }

    /// A product of `self` and one more field.
    pub const fn and(self, field: Self) -> Self {
        Self { empty: self.empty && field.empty, checked: self.checked || field.checked, ..Self::PLAIN }
    }

    /// A choice between `self` and something with one more field.
    pub const fn or(self, field: Self) -> Self {
        Self { checked: self.checked || field.checked, ..Self::PLAIN }
    }

    /// What is made from `self` by a check.
    pub const fn checking(self) -> Self {
        Self { checked: true, ..self }
    }

    /// Refuses, at compile time, a list of values that take no bytes.
    ///
    /// ```compile_fail,E0080
    /// # use bowline_protocol::schema::Schema;
    /// const HASH: u128 = <Vec<()> as Schema>::HASH;
    /// ```
    pub const fn assert_list(self) {
        assert!(
            !self.empty,
            "a list of values that take no bytes could claim any length: send their number instead"
        );
    }

    /// Refuses, at compile time, an option that JSON can't tell from none.
    ///
    /// ```compile_fail,E0080
    /// # use bowline_protocol::schema::Schema;
    /// const HASH: u128 = <Option<Option<u8>> as Schema>::HASH;
    /// ```
    pub const fn assert_optional(self) {
        assert!(
            !self.null,
            "an `Option` of something that is `null` in JSON would arrive as `None`: use an enum of your own"
        );
    }

    /// Refuses, at compile time, a map whose keys JSON can't write.
    ///
    /// ```compile_fail,E0080
    /// use std::collections::HashMap;
    /// # use bowline_protocol::schema::Schema;
    /// const HASH: u128 = <HashMap<(u8, u8), u8> as Schema>::HASH;
    /// ```
    pub const fn assert_key(self) {
        assert!(
            self.key,
            "JSON can't write keys of this type: use text, a number or an enum without fields, or send a list of \
             pairs"
        );
    }
}
