//! WebAssembly around bytes, so that lengths and headers are right and the bytes are read as what is inside.

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
/// The section of a component that is a core module.
const CORE_MODULE: u8 = 1;

/// The first byte says what the rest is: a file, sections of a component, sections of a module in one, or the bodies of the
/// functions of such a module. Each section or body begins with its length; a section, with its kind before that.
pub fn shaped(data: &[u8]) -> Vec<u8> {
    let Some((shape, rest)) = data.split_first() else { return Vec::new() };
    match shape % 4 {
        0 => rest.to_vec(),
        1 => [COMPONENT, &sections(rest)].concat(),
        2 => within(&sections(rest)),
        _ => within(&functions(rest)),
    }
}

fn within(sections: &[u8]) -> Vec<u8> {
    [COMPONENT, &section(CORE_MODULE, &[MODULE, sections].concat())].concat()
}

fn sections(mut rest: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let [kind, after @ ..] = rest {
        let (content, next) = piece(after);
        all.extend(section(*kind, content));
        rest = next;
    }
    all
}

/// One type, `() -> ()`, and as many functions of it as there are bodies.
fn functions(mut rest: &[u8]) -> Vec<u8> {
    let (mut types, mut bodies, mut count) = (Vec::new(), Vec::new(), 0);
    while !rest.is_empty() {
        let (body, next) = piece(rest);
        types.push(0);
        bodies.extend([length(body.len() + 1), body.to_vec(), vec![0x0b]].concat());
        (count, rest) = (count + 1, next);
    }
    let of_all = |content: Vec<u8>| [length(count), content].concat();
    [section(1, &[1, 0x60, 0, 0]), section(3, &of_all(types)), section(10, &of_all(bodies))].concat()
}

/// As many bytes as the first one says, and what is after them.
fn piece(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = bytes.split_first() else { return (&[], &[]) };
    rest.split_at(usize::from(*length).min(rest.len()))
}

fn section(kind: u8, content: &[u8]) -> Vec<u8> {
    [vec![kind], length(content.len()), content.to_vec()].concat()
}

/// LEB128.
fn length(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        if length == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
