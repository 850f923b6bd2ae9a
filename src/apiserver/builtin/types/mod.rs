//! The types behind the built-in kinds: their fields, and what follows from them.

mod decode;
mod fields;
mod normal;
mod quantity;
mod required;
mod restore;
mod schema;

pub(super) use self::{
    decode::check as check_types,
    fields::{Field, Shape, TYPES, Type, TypeId, status_brings_metadata},
    normal::{blank, normalize},
    quantity::{Quantity, amount as quantity_amount},
    required::missing,
    restore::check as check_restored,
    schema::{component_name, open_api_components, structural_schema},
};
