//! Posting with every flag and with wrong parameters.
