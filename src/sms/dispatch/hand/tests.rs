//! Tables of the hand.
