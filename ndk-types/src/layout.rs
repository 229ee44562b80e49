//! Assertions of size, alignment and offsets.

/// `layout!(TYPE, size, align, field offset, ...)`, a field of a field as `field.inner`: the build fails when the C layout
/// is not met.
macro_rules! layout {
    ($type:ty, $size:literal, $align:literal $(, $field:ident $(. $inner:ident)* $offset:literal)* $(,)?) => {
        #[cfg(target_pointer_width = "64")]
        const _: () = {
            assert!(size_of::<$type>() == $size);
            assert!(align_of::<$type>() == $align);
            $(assert!(core::mem::offset_of!($type, $field $(. $inner)*) == $offset);)*
        };
    };
}

pub(crate) use layout;
