//! Enums whose variants are words on the command line.

/// An enum whose variants are the words of an option: `WORDS` has them all, `of` reads one.
macro_rules! choices {
    ($(#[$about:meta])* $vis:vis enum $name:ident { $( $(#[$doc:meta])* $variant:ident = $word:literal, )+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name { $( $(#[$doc])* $variant, )+ }

        impl $name {
            pub(crate) const WORDS: &'static [&'static str] = &[$($word),+];

            pub(crate) fn of(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use choices;
