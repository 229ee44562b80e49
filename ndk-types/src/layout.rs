//! Assertions of size, alignment and offsets.

/// `layout!(TYPE, size, align, field offset, ...)`: the build fails when the C layout is not met.
macro_rules! layout {
    ($type:ty, $size:literal, $align:literal $(, $field:ident $offset:literal)* $(,)?) => {
        #[cfg(target_pointer_width = "64")]
        const _: () = {
            assert!(size_of::<$type>() == $size);
            assert!(align_of::<$type>() == $align);
            $(assert!(core::mem::offset_of!($type, $field) == $offset);)*
        };
    };
}

pub(crate) use layout;
