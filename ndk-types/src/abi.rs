//! The calling convention, in one place.

/// Gives callback types and callbacks their calling convention. Takes whole items, written `extern "C"`:
///
/// ```
/// trait Greeter { const ANSWER: i32; }
/// ndk_types::abi! {
///     /// A callback type.
///     pub type GREET = Option<unsafe extern "C" fn(times: u32) -> i32>;
///
///     /// A callback, generic.
///     unsafe extern "C" fn greet<G: Greeter>(times: u32) -> i32 {
///         G::ANSWER * times as i32
///     }
/// }
/// # struct Loud;
/// # impl Greeter for Loud { const ANSWER: i32 = 21; }
/// let callback: GREET = Some(greet::<Loud>);
/// // SAFETY: `greet` asks nothing of its caller.
/// assert_eq!(unsafe { callback.unwrap()(2) }, 42);
/// ```
///
/// On Windows, and on other machines than x86_64, they stay `extern "C"`; elsewhere they become `extern "win64"`.
///
/// A generic parameter takes one bound; further ones go into the where-clause, each in a predicate of its own
/// (`where P: Send, P: 'static`), since `macro_rules` cannot match a path before a `+`. An item costs one level of
/// recursion, so about a hundred fit one invocation.
#[macro_export]
macro_rules! abi {
    () => {};
    (@emit [$($head:tt)*] [$($tail:tt)*]) => {
        #[cfg(all(target_arch = "x86_64", not(windows)))]
        $($head)* extern "win64" $($tail)*
        #[cfg(not(all(target_arch = "x86_64", not(windows))))]
        $($head)* extern "C" $($tail)*
    };
    (
        $(#[$meta:meta])*
        $vis:vis type $name:ident = Option<unsafe extern "C" fn($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)?>;
        $($rest:tt)*
    ) => {
        $crate::abi! {
            @emit [$(#[$meta])* $vis type $name = Option<unsafe] [fn($($arg: $type),*) $(-> $ret)?>;]
        }
        $crate::abi! { $($rest)* }
    };
    (
        $(#[$meta:meta])*
        $vis:vis unsafe extern "C" fn $name:ident $(<$($generic:ident $(: $bound:path)?),+ $(,)?>)?
        ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)?
        $(where $($who:ty: $($outlives:lifetime)? $($is:path)?),+ $(,)?)?
        $body:block
        $($rest:tt)*
    ) => {
        $crate::abi! {
            @emit [$(#[$meta])* $vis unsafe] [
                fn $name $(<$($generic $(: $bound)?),+>)? ($($arg: $type),*) $(-> $ret)?
                $(where $($who: $($outlives)? $($is)?),+)?
                $body
            ]
        }
        $crate::abi! { $($rest)* }
    };
    (
        $(#[$meta:meta])*
        $vis:vis extern "C" fn $name:ident $(<$($generic:ident $(: $bound:path)?),+ $(,)?>)?
        ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)?
        $(where $($who:ty: $($outlives:lifetime)? $($is:path)?),+ $(,)?)?
        $body:block
        $($rest:tt)*
    ) => {
        $crate::abi! {
            @emit [$(#[$meta])* $vis] [
                fn $name $(<$($generic $(: $bound)?),+>)? ($($arg: $type),*) $(-> $ret)?
                $(where $($who: $($outlives)? $($is)?),+)?
                $body
            ]
        }
        $crate::abi! { $($rest)* }
    };
}
