//! How far a client's run is: what may be posted next, and when it is over. Nothing here touches NDK.

/// What one operation of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message that comes back: done when it was sent and its echo is here.
    Echo,
    /// A message of a stream: done when it was sent; needs a credit, which the server gives back.
    Stream,
    /// A READ.
    Read,
    /// A WRITE.
    Write,
}

/// A run: `count` operations, at most `depth` of them under way.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// What one operation is.
    pub kind: Kind,
    count: u64,
    depth: u64,
    posted: u64,
    sent: u64,
    echoed: u64,
    credited: u64,
}

impl Course {
    /// A run of which nothing is done; the server has room for `depth` messages.
    pub const fn new(kind: Kind, count: u64, depth: u32) -> Self {
        Self { kind, count, depth: depth as u64, posted: 0, sent: 0, echoed: 0, credited: 0 }
    }

    /// Operations that are done.
    pub fn done(&self) -> u64 {
        match self.kind {
            Kind::Echo => self.sent.min(self.echoed),
            Kind::Stream | Kind::Read | Kind::Write => self.sent,
        }
    }

    /// Operations whose effect has reached the other side for good.
    pub fn arrived(&self) -> u64 {
        if self.kind == Kind::Stream { self.credited } else { self.done() }
    }

    /// Operations that may be posted now: their place among `depth`; `None` when there is none.
    pub fn next(&self) -> Option<u32> {
        let under_way = self.posted.saturating_sub(self.done());
        let without_credit = self.posted.saturating_sub(self.credited);
        let has_room = under_way < self.depth && (self.kind != Kind::Stream || without_credit < self.depth);
        let place = self.posted.checked_rem(self.depth)?;
        (self.posted < self.count && has_room).then_some(place as u32)
    }

    /// The operation that [`Course::next`] named was posted.
    pub fn posted(&mut self) {
        self.posted = self.posted.saturating_add(1);
    }

    /// A request completed. It gives the place it had: requests of one queue complete in the order they were posted (CQ-26). `None`:
    /// nothing was under way.
    pub fn completed(&mut self) -> Option<u32> {
        if self.sent >= self.posted {
            return None;
        }
        let place = self.sent.checked_rem(self.depth)?;
        self.sent = self.sent.saturating_add(1);
        Some(place as u32)
    }

    /// An echo came. False: nobody waited for one.
    #[must_use]
    pub fn echoed(&mut self) -> bool {
        let expected = self.kind == Kind::Echo && self.echoed < self.posted;
        self.echoed = self.echoed.saturating_add(u64::from(expected));
        expected
    }

    /// The server has room again. False: for more than it was sent.
    #[must_use]
    pub fn credited(&mut self, credits: u32) -> bool {
        let credited = self.credited.saturating_add(u64::from(credits));
        let expected = self.kind == Kind::Stream && credited <= self.posted;
        self.credited = if expected { credited } else { self.credited };
        expected
    }

    /// Whether everything is done and has arrived.
    pub fn is_over(&self) -> bool {
        self.done() == self.count && self.arrived() == self.count
    }
}

/// When a sink gives credits back: after every half of what there is room for, and at the end.
#[derive(Clone, Copy, Debug)]
pub struct Debt {
    every: u32,
    count: u32,
    received: u32,
    owed: u32,
}

impl Debt {
    /// For a stream of `count` messages and room for `depth`.
    pub const fn new(depth: u32, count: u32) -> Self {
        let half = depth / 2;
        Self { every: if half == 0 { 1 } else { half }, count, received: 0, owed: 0 }
    }

    /// A message arrived, and there is room for another.
    pub fn received(&mut self) {
        self.received = self.received.saturating_add(1);
        self.owed = self.owed.saturating_add(1);
    }

    /// Credits to be given back now.
    pub fn due(&self) -> Option<u32> {
        let due = self.owed >= self.every || (self.received >= self.count && self.owed > 0);
        due.then_some(self.owed)
    }

    /// They were.
    pub fn paid(&mut self) {
        self.owed = 0;
    }
}
