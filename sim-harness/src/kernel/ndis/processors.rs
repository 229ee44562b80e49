//! NdisGetRssProcessorInformation: the processors of the machine, all of one group and one NUMA node, for receive side scaling.

use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::nt::runtime::PROCESSORS;
use ndk_types::*;
use std::ptr;

const HEAD: usize = size_of::<NDIS_RSS_PROCESSOR_INFO>();
const ENTRY: usize = size_of::<NDIS_RSS_PROCESSOR>();

fn processor(number: u32) -> PROCESSOR_NUMBER {
    PROCESSOR_NUMBER { Number: number as u8, ..PROCESSOR_NUMBER::default() }
}

/// The head of the answer for a machine of so many processors.
fn head(count: u32) -> NDIS_RSS_PROCESSOR_INFO {
    NDIS_RSS_PROCESSOR_INFO {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_RSS_PROCESSOR_INFO,
            Revision: NDIS_RSS_PROCESSOR_INFO_REVISION_2,
            Size: NDIS_SIZEOF_RSS_PROCESSOR_INFO_REVISION_2,
        },
        RssBaseProcessor: processor(0),
        MaxNumRssProcessors: count,
        RssProcessorArrayOffset: HEAD as u32,
        RssProcessorCount: count,
        RssProcessorEntrySize: ENTRY as u32,
        RssMaxProcessor: processor(count.saturating_sub(1)),
        RssProfile: NdisRssProfileClosest,
        ..NDIS_RSS_PROCESSOR_INFO::default()
    }
}

ndk_types::abi! {
    unsafe extern "C" fn ndis_get_rss_processor_information(
        handle: NDIS_HANDLE,
        info: *mut NDIS_RSS_PROCESSOR_INFO,
        size: *mut usize,
    ) -> NDIS_STATUS {
        let machine = Machine::current();
        let adapters = &machine.ndis.adapters;
        if adapters.edge(handle.addr()).is_none() && adapters.binding_edge(handle.addr()).is_none() {
            machine.violation("handle", format!("{:#x} is neither an adapter nor a binding", handle.addr()));
        }
        let needed = HEAD + ENTRY * PROCESSORS as usize;
        // SAFETY: the page: the size of the buffer.
        let given = unsafe { size.replace(needed) };
        if given < needed || info.is_null() {
            return NDIS_STATUS_BUFFER_TOO_SHORT;
        }
        // SAFETY: the page: a buffer of the size given, which is enough.
        unsafe { info.write(head(PROCESSORS)) };
        let array = info.wrapping_add(1).cast::<NDIS_RSS_PROCESSOR>();
        for number in 0..PROCESSORS {
            let entry = NDIS_RSS_PROCESSOR { ProcNum: processor(number), PreferenceIndex: 0, Reserved: 0 };
            // SAFETY: as above: the array is behind the head.
            unsafe { ptr::write(array.wrapping_add(number as usize), entry) };
        }
        NDIS_STATUS_SUCCESS
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "NDIS.SYS" in ndk_types::prototype;
        NdisGetRssProcessorInformation <= Dispatch = ndis_get_rss_processor_information,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    /// Asks with a buffer of so many bytes; the status, the size afterwards, and the answer's words.
    fn ask(bytes: usize) -> (NDIS_STATUS, usize, Vec<u32>) {
        let machine = Machine::new("processors", Arc::new(AtomicU64::new(0)), 1);
        let mut buffer = vec![0_u32; bytes / 4];
        let mut size = bytes;
        let info = if bytes == 0 { ptr::null_mut() } else { buffer.as_mut_ptr().cast() };
        // SAFETY: a buffer of the size given.
        let ask = || unsafe { ndis_get_rss_processor_information(ptr::null_mut(), info, &raw mut size) };
        let status = machine.enter(ask);
        let rules: Vec<_> = machine.verifier.take().into_iter().map(|violation| violation.rule).collect();
        // No adapter's handle was given.
        assert_eq!(rules, ["handle"]);
        (status, size, buffer)
    }

    #[test]
    fn a_buffer_that_is_too_short_or_not_there_is_told_the_size_that_is_needed() {
        for bytes in [0, HEAD, HEAD + ENTRY - 4] {
            let (status, size, buffer) = ask(bytes);
            assert_eq!((status, size), (NDIS_STATUS_BUFFER_TOO_SHORT, HEAD + ENTRY));
            assert!(buffer.iter().all(|&word| word == 0));
        }
    }

    #[test]
    fn the_answer_is_as_many_entries_as_the_machine_has_processors() {
        let (status, size, words) = ask(HEAD + ENTRY + 8);
        assert_eq!((status, size), (NDIS_STATUS_SUCCESS, HEAD + ENTRY));
        // MaxNumRssProcessors, PreferredNumaNode, offset, count and size of entries.
        assert_eq!(words[3..8], [1, 0, 40, 1, 8]);
        let four = head(4);
        assert_eq!((four.RssProcessorCount, four.RssMaxProcessor.Number, four.RssBaseProcessor.Number), (4, 3, 0));
    }
}
