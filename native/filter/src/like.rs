//! `like` patterns: `%` any run of characters, `_` one character, backslash takes either literally.

use memchr::memmem::Finder;

#[derive(Debug)]
pub(crate) enum LikePattern {
    Equals(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Infix(Box<Finder<'static>>),
    General(General),
}

/// Segments between `%`; the first is anchored at the start and the last at the end.
#[derive(Debug)]
pub(crate) struct General {
    segments: Vec<Segment>,
}

#[derive(Debug, Default)]
struct Segment {
    pieces: Vec<Piece>,
    /// Code points that the segment matches.
    chars: usize,
}

#[derive(Debug)]
enum Piece {
    Literal(Vec<u8>),
    One,
}

impl LikePattern {
    pub fn new(pattern: &str) -> Self {
        let segments = split(pattern);
        let literal = |s: &Segment| match s.pieces.as_slice() {
            [] => Some(Box::default()),
            [Piece::Literal(bytes)] => Some(bytes.clone().into_boxed_slice()),
            _ => None,
        };
        let literals: Option<Vec<Box<[u8]>>> = segments.iter().map(literal).collect();
        match literals.as_deref() {
            Some([only]) => Self::Equals(only.clone()),
            Some([first, last]) if last.is_empty() => Self::Prefix(first.clone()),
            Some([first, last]) if first.is_empty() => Self::Suffix(last.clone()),
            Some([first, middle, last]) if first.is_empty() && last.is_empty() => {
                Self::Infix(Box::new(Finder::new(middle).into_owned()))
            }
            _ => Self::General(General { segments }),
        }
    }

    /// Texts that every match contains.
    pub fn literals(&self) -> Vec<&[u8]> {
        match self {
            Self::Equals(text) | Self::Prefix(text) | Self::Suffix(text) => vec![text],
            Self::Infix(finder) => vec![finder.needle()],
            Self::General(general) => {
                let pieces = general.segments.iter().flat_map(|segment| &segment.pieces);
                let literals = pieces.filter_map(|piece| match piece {
                    Piece::Literal(text) => Some(text.as_slice()),
                    Piece::One => None,
                });
                literals.collect()
            }
        }
    }

    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Equals(value) => **value == *text,
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Suffix(suffix) => text.ends_with(suffix),
            Self::Infix(finder) => finder.find(text).is_some(),
            Self::General(general) => general.matches(text),
        }
    }
}

/// Tells the rows that contain a text, in ascending order. All texts are searched as one, which finds nothing more: an
/// occurrence that reaches over the end of its row is none. Row `i` is `data[offsets[i]..offsets[i + 1]]`.
pub(crate) fn find_in_rows(finder: &Finder<'_>, offsets: &[u64], data: &[u8], mut found: impl FnMut(usize)) {
    let Some(&end) = offsets.last() else { return };
    let length = finder.needle().len();
    let (mut row, mut at) = (0, offsets[0] as usize);
    while let Some(start) = finder.find(&data[at..end as usize]).map(|start| at + start) {
        while offsets[row + 1] as usize <= start && row + 2 < offsets.len() {
            row += 1;
        }
        let row_end = offsets[row + 1] as usize;
        if start + length <= row_end {
            found(row);
            at = row_end;
        } else {
            at = start + 1;
        }
    }
}

fn split(pattern: &str) -> Vec<Segment> {
    let mut segments = vec![Segment::default()];
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        let Some(segment) = segments.last_mut() else { break };
        match char {
            '%' => segments.push(Segment::default()),
            '_' => segment.push_one(),
            '\\' => match chars.next_if(|c| matches!(c, '%' | '_' | '\\')) {
                Some(escaped) => segment.push_char(escaped),
                None => segment.push_char('\\'),
            },
            other => segment.push_char(other),
        }
    }
    // "a%%b" means "a%b".
    let last = segments.len() - 1;
    let mut at = 0;
    segments.retain(|s| {
        let keep = at == 0 || at == last || !s.pieces.is_empty();
        at += 1;
        keep
    });
    segments
}

impl Segment {
    fn push_one(&mut self) {
        self.pieces.push(Piece::One);
        self.chars += 1;
    }

    fn push_char(&mut self, char: char) {
        let mut buffer = [0; 4];
        let bytes = char.encode_utf8(&mut buffer).as_bytes();
        match self.pieces.last_mut() {
            Some(Piece::Literal(literal)) => literal.extend_from_slice(bytes),
            _ => self.pieces.push(Piece::Literal(bytes.to_vec())),
        }
        self.chars += 1;
    }

    /// Where the segment ends when it matches at the start of `text`.
    fn match_at(&self, text: &[u8]) -> Option<usize> {
        let mut at = 0;
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => {
                    text[at..].starts_with(bytes).then_some(())?;
                    at += bytes.len();
                }
                Piece::One => {
                    text.get(at)?;
                    at += char_width(text, at);
                }
            }
        }
        Some(at)
    }

    /// End of the first match at or after `from`.
    fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            if let Some(width) = self.match_at(&text[at..]) {
                return Some(at + width);
            }
            if at >= text.len() {
                return None;
            }
            at += char_width(text, at);
        }
    }

    /// Whether the segment matches exactly the end of `text`, not before `from`.
    fn matches_end(&self, text: &[u8], from: usize) -> bool {
        let mut at = text.len();
        for _ in 0..self.chars {
            if at <= from {
                return false;
            }
            at -= 1;
            while at > from && text[at] & 0xc0 == 0x80 {
                at -= 1;
            }
        }
        self.match_at(&text[at..]) == Some(text.len() - at)
    }
}

/// Bytes of the character at `at`; a stray continuation byte counts as one.
fn char_width(text: &[u8], at: usize) -> usize {
    1 + text[at + 1..].iter().take(3).take_while(|&&b| b & 0xc0 == 0x80).count()
}

impl General {
    fn matches(&self, text: &[u8]) -> bool {
        let [first, rest @ ..] = self.segments.as_slice() else { return text.is_empty() };
        let Some(mut at) = first.match_at(text) else { return false };
        let [middle @ .., last] = rest else { return at == text.len() };
        for segment in middle {
            match segment.find(text, at) {
                Some(end) => at = end,
                None => return false,
            }
        }
        last.matches_end(text, at)
    }
}

#[cfg(test)]
mod tests {
    use super::{Finder, LikePattern, find_in_rows};
    use proptest::prelude::*;

    /// Textbook recursion over characters.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
            ['_', rest @ ..] => !text.is_empty() && naive(rest, &text[1..]),
            ['\\', c @ ('%' | '_' | '\\'), rest @ ..] | [c, rest @ ..] => {
                text.first() == Some(c) && naive(rest, &text[1..])
            }
        }
    }

    fn both(pattern: &str, text: &str) -> bool {
        let expected = naive(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
        assert_eq!(LikePattern::new(pattern).matches(text.as_bytes()), expected, "{pattern:?} on {text:?}");
        expected
    }

    #[test]
    fn classes() {
        assert!(both("abc", "abc") && !both("abc", "abcd"));
        assert!(both("ab%", "abc") && both("%bc", "abc") && both("%b%", "abc"));
        assert!(both("a_c", "a中c") && !both("a_c", "ac"));
        assert!(both(r"100\%", "100%") && !both(r"100\%", "1000"));
        assert!(both("%", "") && both("%%", "x") && !both("_", "") && both("", ""));
        assert!(both("a%b_", "a--bx") && both("%_", "é"));
        assert!(both("%\n%", "a\nb") && both("a_b", "a\nb"));
    }

    proptest! {
        #[test]
        fn texts_are_searched_as_one(needle in "[ab]{1,4}", texts in prop::collection::vec("[abé]{0,6}", 0..40)) {
            let mut offsets = vec![0u64];
            let mut data = vec![];
            for text in &texts {
                data.extend(text.bytes());
                offsets.push(data.len() as u64);
            }
            let mut found = vec![];
            find_in_rows(&Finder::new(&needle), &offsets, &data, |row| found.push(row));
            let expected: Vec<usize> = (0..texts.len()).filter(|&row| texts[row].contains(&needle)).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn like_agrees_with_recursion(pattern in r"[ab%_\\é]{0,8}", text in "[ab%é]{0,10}") {
            both(&pattern, &text);
        }
    }
}
