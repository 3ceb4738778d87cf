//! The builder methods of plain data.

/// Methods named as fields: each sets one and gives the value back, so that a value is written in one expression. What is
/// marked `into` takes whatever becomes the field's type, a bare value for an `Option` among it.
macro_rules! setters {
    ($type:ty { $($(#[$($marked:tt)+])? $field:ident: $value:ty),+ $(,)? }) => {
        impl $type {
            $( $crate::setters::setters!(@one $(#[$($marked)+])? $field: $value); )+
        }
    };
    (@one $field:ident: $value:ty) => {
        #[doc = concat!("With another [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: $value) -> Self {
            self.$field = $field;
            self
        }
    };
    (@one #[into] $field:ident: $value:ty) => {
        #[doc = concat!("With another [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: impl Into<$value>) -> Self {
            self.$field = $field.into();
            self
        }
    };
}

pub(crate) use setters;
