//! Who answers what cannot be: 11 to 15.

use super::*;

pub(super) fn cases() -> Vec<Case> {
    let default = |body| defaults(Guest { default: Some(body), pages: 1000, ..good() });
    let bad = |message| ("BadOutput", message);
    vec![
        case(
            "11",
            "a text outside memory",
            default(
                "(i32.store (i32.const 68) (i32.const -16)) (i32.store (i32.const 72) (i32.const 17)) (i32.const 64)",
            ),
            bad("out of bounds"),
        ),
        case("11b", "an answer outside memory", default("(i32.const -64)"), bad("out of bounds")),
        case("11c", "an answer at an odd address", default("(i32.const 65)"), bad("not aligned")),
        case(
            "12",
            "a text of 48 MiB",
            default("(i32.store (i32.const 72) (i32.const 50331648)) (i32.const 64)"),
            ("OutputTooLarge", "8388608"),
        ),
        case("13", "one text of a megabyte, 60000 times", plans(amplified()), ("OutputTooLarge", "8388608")),
        case(
            "14",
            "a text that is none",
            default(
                "(i32.store (i32.const 72) (i32.const 1)) (i32.store8 (i32.const 0) (i32.const 255)) (i32.const 64)",
            ),
            bad("utf-8"),
        ),
        case(
            "15",
            "its input to be put beyond memory",
            plans(Guest { realloc: "(i32.const -16)", ..good() }),
            bad("beyond end of memory"),
        ),
        case(
            "15b",
            "all its input to be put in one place",
            plans(Guest { realloc: "(i32.const 131072)", ..good() }),
            ("Answered", ""),
        ),
        case("24", "JSON that is none", defaults(Guest { default: Some(ZEROS), ..good() }), bad("merge patch")),
        case(
            "24b",
            "a case that there is not",
            default("(i32.store8 (i32.const 64) (i32.const 9)) (i32.const 64)"),
            bad("discriminant"),
        ),
    ]
}
