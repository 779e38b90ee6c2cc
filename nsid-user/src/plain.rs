//! Text that others wrote, for a terminal or a log: a line of theirs is no line of ours, and moves no cursor.

use std::fmt::{self, Display, Write};

/// What it shows, with `\n`, `\u{1b}` and the like in the place of control characters. All other text stays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<T>(pub(crate) T);

impl<T: Display> Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| {
            if character.is_control() {
                character.escape_debug().fmt(self.0)
            } else {
                self.0.write_char(character)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_all_others_stay() {
        for (text, shown) in [
            ("ns1\nns2", r"ns1\nns2"),
            ("\x1b[2Jns1\r\t\0", r"\u{1b}[2Jns1\r\t\0"),
            // C1, of which some terminals take each for two characters that begin with an escape.
            ("\u{9b}31m\u{7f}", r"\u{9b}31m\u{7f}"),
            (r#"höst-ñ 名 "quoted" \n"#, r#"höst-ñ 名 "quoted" \n"#),
        ] {
            assert_eq!(Plain(text).to_string(), shown);
        }
    }
}
