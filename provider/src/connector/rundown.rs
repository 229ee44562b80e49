//! Who waits until a queue pair's flush has been carried out: the completion of a disconnect (CN-35), the close of a
//! connector (CN-44). When another processor is inside the queue pair's lane, that may be a little later.

use super::{Connector, Told};
use crate::lock::SpinLock;
use crate::object::Ref;
use crate::platform::Platform;
use crate::port::Port;

/// The waiters of one queue pair.
pub(crate) struct Rundown<P: Platform>(SpinLock<Waiters<P>>);

struct Waiters<P: Platform> {
    /// A flush was asked for and has not been carried out.
    outstanding: bool,
    told: Option<(Ref<Connector<P>>, Told)>,
    /// Keeps a connector's close pending.
    closing: Option<Ref<Connector<P>>>,
}

impl<P: Platform> Rundown<P> {
    pub(crate) fn new() -> Self {
        Self(SpinLock::new(Waiters { outstanding: false, told: None, closing: None }))
    }

    /// A flush is about to be asked for; the close of `closing` waits for it.
    pub(super) fn begin(&self, port: &Port<P>, closing: Option<Ref<Connector<P>>>) {
        let _raised = port.platform.raise();
        let before = self.0.with(|waiters| {
            waiters.outstanding = true;
            if closing.is_some() { core::mem::replace(&mut waiters.closing, closing) } else { None }
        });
        drop(before);
    }

    /// Keeps what is to be said until the flush is done; gives it back when there is none to wait for.
    pub(super) fn park(&self, port: &Port<P>, connector: &Ref<Connector<P>>, told: Told) -> Option<Told> {
        let _raised = port.platform.raise();
        self.0.with(|waiters| {
            if !waiters.outstanding || waiters.told.is_some() {
                return Some(told);
            }
            waiters.told = Some((connector.clone(), told));
            None
        })
    }

    /// A flush has been carried out. In no lock and no lane.
    pub(crate) fn flushed(&self, port: &Port<P>) {
        let (told, closing) = {
            let _raised = port.platform.raise();
            self.0.with(|waiters| {
                waiters.outstanding = false;
                (waiters.told.take(), waiters.closing.take())
            })
        };
        if let Some((connector, told)) = told {
            told.say();
            drop(connector);
        }
        drop(closing);
    }
}
