// Package orchestration is the core of Tutti: it decides everything and does
// nothing.
//
// The nouns, each used for one thing only:
//
//   - A task is what the caller asks for, in words; its context is a JSON
//     object of named values.
//   - A run is one execution of a task ([Run], shaped by its [Spec]).
//   - A plan is the directed acyclic graph of subtasks chosen for a run
//     ([Plan], [Subtask]); a planner model makes it, or the caller.
//   - A subtask is one node of it. A composite one expands: its body is added to
//     the same graph, once for each round, as its children.
//   - A draft is a subtask of a plan that its planner is still writing ([Drafted]).
//   - An attempt is one try at a subtask, counted from 1. A revision is an
//     attempt too, which mends an output that was refused.
//   - An expression reads what is there and gives a value ([Expressions]).
//   - A check is what an output must satisfy; a finding is the result of one, and
//     a verdict sums the findings of an attempt up ([Check], [Finding], [Verdict]).
//   - A policy is the checks that every worker's output of a run must satisfy.
//   - A person decides about what waits: a subtask, or the plan ([Said]).
//   - A compensation undoes a subtask ([Compensate]).
//   - A workflow is a named, versioned template of a plan; a fork is a run that
//     redoes a part of another one ([Origin], [Forked]).
//   - An input is what the world says to a run ([Input]): an outcome, a due
//     timer, a caller's wish.
//   - An event is a fact about a run, immutable, numbered by seq from 1
//     ([Event]).
//   - A command is what the driver must do next ([Command]).
//   - The journal keeps the events of all runs, and what must be committed
//     with them ([Commit]).
//   - A driver is the shell that carries inputs to the core and commands to
//     the world.
//
// A driver's loop is short: take an input; [Run.Step] says what follows from
// it; append those events in one commit; only then start the commands, whose
// outcomes are the next inputs. After a crash it folds the journal's events
// with [Run.Replay] and goes on from [Run.Outstanding].
//
// The package is pure. It reads no clock (an input brings its time), draws no
// random number (an input brings one), starts no goroutine, and ranges over no
// map where the order would show. So a decision can be tested as a story in a
// text file, and a journal always replays to the same state.
package orchestration
