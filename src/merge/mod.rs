//! Decides what a page of a server means for the rows already here. Pure: rows in, steps out.
//!
//! The shape is *stage → state → action*: [`prepare`] turns a page into one [`Incoming`] an id (the last word
//! wins), the mirror tells which [`Stored`] row each id has, and two total functions, [`judge_put`] and
//! [`judge_gone`], name the action. Nothing is removed here: a removal is only *staged*, and the end of the
//! round decides about all of them together (see [`brake`]).

mod fingerprint;
mod plan;

pub use fingerprint::{Fingerprint, fingerprint};
pub use plan::{
    Frame, GoneAction, Incoming, Pass, Plan, PutAction, RemovalVerdict, RowStep, Stored, brake, judge_gone,
    judge_put, plan, prepare,
};
