//! What sits on the wire of the virtual world.
//!
//! The world calls a station, never the other way round: a station notes what it wants ([`Wants`]), and the world fetches
//! that after every call. So nothing re-enters, and the order of what happens is the world's alone.

use crate::platform::{Node, SimPlatform};
use ndk_provider::platform::{NextHop, Unresolved};
use ndk_provider::port::Port;
use ndk_provider::shared::Shared;
use roce_engine::time::Time;
use std::net::IpAddr;
use std::sync::Arc;

/// What a station asked for since the world last looked.
#[derive(Debug, Default)]
pub struct Wants {
    /// Frames to send, in order.
    pub frames: Vec<Vec<u8>>,
    /// When to call [`Station::on_timer`], in virtual nanoseconds, if that changed; `u64::MAX` for never.
    pub timer: Option<u64>,
    /// Whether to call [`Station::on_deferred`].
    pub deferred: bool,
    /// Next hops to find, by a world that plays the neighbours: token and remote address.
    pub resolve: Vec<(u64, IpAddr)>,
}

/// See the module's text.
pub trait Station {
    /// Its hardware address: whole frames to it, and to groups, are delivered.
    fn mac(&self) -> [u8; 6];

    /// Its IP addresses.
    fn addresses(&self) -> Vec<IpAddr>;

    /// What it wants, once.
    fn wants(&mut self) -> Wants;

    /// A frame arrives.
    fn deliver(&mut self, frame: &[u8]);

    /// A frame of its has left.
    fn sent(&mut self, frame: Vec<u8>);

    /// The time it asked for has come.
    fn on_timer(&mut self);

    /// The call it asked for.
    fn on_deferred(&mut self);

    /// A next hop it asked for.
    fn on_resolved(&mut self, token: u64, answer: Result<NextHop, Unresolved>);
}

/// A natively built provider, without a Windows around it.
pub struct ProviderStation {
    node: Arc<Node>,
    port: Shared<Port<SimPlatform>>,
}

impl ProviderStation {
    /// The station of a node and the port on it.
    pub const fn new(node: Arc<Node>, port: Shared<Port<SimPlatform>>) -> Self {
        Self { node, port }
    }
}

impl Station for ProviderStation {
    fn mac(&self) -> [u8; 6] {
        self.node.mac()
    }

    fn addresses(&self) -> Vec<IpAddr> {
        self.node.addresses().to_vec()
    }

    fn wants(&mut self) -> Wants {
        let mut tray = self.node.tray();
        Wants {
            frames: std::mem::take(&mut tray.frames),
            timer: tray.timer.take().map(Time::as_nanos),
            deferred: std::mem::take(&mut tray.deferred),
            resolve: std::mem::take(&mut tray.resolve),
        }
    }

    fn deliver(&mut self, frame: &[u8]) {
        self.port.receive(&[frame], |_| ());
    }

    fn sent(&mut self, frame: Vec<u8>) {
        self.node.give_back(frame);
        if std::mem::take(&mut self.node.tray().starved) {
            self.port.on_frames_available();
        }
    }

    fn on_timer(&mut self) {
        self.port.on_timer();
    }

    fn on_deferred(&mut self) {
        self.port.on_deferred();
    }

    fn on_resolved(&mut self, token: u64, answer: Result<NextHop, Unresolved>) {
        self.port.on_resolved(token, answer);
    }
}
