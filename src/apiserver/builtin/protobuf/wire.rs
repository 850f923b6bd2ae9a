//! The wire format: numbered fields, one after the other.

use super::ProtobufError;

/// What stands in a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Data<'b> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'b [u8]),
}

const SHORT: ProtobufError = ProtobufError::Malformed("unexpected end of the message");

impl<'b> Data<'b> {
    pub(super) fn bytes(self) -> Result<&'b [u8], ProtobufError> {
        match self {
            Data::Bytes(bytes) => Ok(bytes),
            _ => Err(ProtobufError::Malformed("a field has the wrong wire type")),
        }
    }

    pub(super) fn text(self) -> Result<String, ProtobufError> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map(str::to_owned).map_err(|_| ProtobufError::Malformed("a text is not UTF-8"))
    }

    pub(super) fn varint(self) -> Result<u64, ProtobufError> {
        match self {
            Data::Varint(n) => Ok(n),
            _ => Err(ProtobufError::Malformed("a field has the wrong wire type")),
        }
    }
}

/// The fields of a message, in order. Ends after the first error.
pub(super) fn fields(
    message: &[u8],
) -> impl Iterator<Item = Result<(u32, Data<'_>), ProtobufError>> {
    let mut rest = message;
    let mut failed = false;
    std::iter::from_fn(move || {
        if rest.is_empty() || failed {
            return None;
        }
        let field = next(&mut rest);
        failed = field.is_err();
        Some(field)
    })
}

fn next<'b>(rest: &mut &'b [u8]) -> Result<(u32, Data<'b>), ProtobufError> {
    let key = varint(rest)?;
    let number = u32::try_from(key >> 3)
        .ok()
        .filter(|n| *n > 0)
        .ok_or(ProtobufError::Malformed("a field has no valid number"))?;
    let data = match key & 7 {
        0 => Data::Varint(varint(rest)?),
        1 => Data::Fixed64(u64::from_le_bytes(array(rest)?)),
        2 => {
            let length = usize::try_from(varint(rest)?).map_err(|_| SHORT)?;
            Data::Bytes(take(rest, length)?)
        }
        5 => Data::Fixed32(u32::from_le_bytes(array(rest)?)),
        _ => return Err(ProtobufError::Malformed("a field has an unknown wire type")),
    };
    Ok((number, data))
}

/// Reads one varint.
pub(super) fn varint(rest: &mut &[u8]) -> Result<u64, ProtobufError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let [byte] = array(rest)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(ProtobufError::Malformed("a number does not end"))
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Result<&'b [u8], ProtobufError> {
    let (taken, after) = rest.split_at_checked(length).ok_or(SHORT)?;
    *rest = after;
    Ok(taken)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], ProtobufError> {
    take(rest, N)?.try_into().map_err(|_| SHORT)
}
