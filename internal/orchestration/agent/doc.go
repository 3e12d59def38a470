// Package agent performs the core's commands with language models: it makes
// prompts, sends them, reads the answers, and says what came of it.
//
// The path of a command through the package:
//
//   - [Agent.Perform] takes an [orchestration.Performance] and always returns its outcome. It
//     decides nothing: a failed call is told as a failure, with whether another
//     attempt might succeed, and the core does what follows from that.
//   - plan.go, work.go and synthesize.go know what each role is sent, and what
//     its answer must be; drafting.go tells the subtasks of a plan while it is
//     being written, and has one that broke off gone on with; employ.go has a
//     worker do a subtask, nested.go plans a part of a run, decide.go chooses
//     between options.
//   - check.go and judge.go hold an output to its checks; what follows from the
//     findings is the core's to decide.
//   - tools.go calls tools, for subtasks and compensations, and toolloop.go for
//     models that ask for them, within bounds.
//   - cache.go uses what was made before, and has identical calls made once.
//   - prompts.go holds our own prompts, and sections.go what they are made of;
//     template.go and variables.go read callers' prompts, which [CheckPrompts]
//     judges before a run is accepted.
//   - fit.go makes a prompt fit the model's window, by an upper estimate of its
//     tokens (tokens.go): dependencies are shortened, results are combined in
//     groups first, and the task is never cut.
//   - dialog.go holds the conversation with a model: an answer that was cut off
//     is continued once, and every call is counted; purse.go has what all calls of
//     an attempt may spend together.
//   - prefix.go names what prompts begin with and, for models that are staggered,
//     holds a run's workers until the first one is being answered.
//   - outcome.go is the table from the ways a call may end to a run's failures.
//
// # The layout of a prompt
//
// A prompt begins with what is the same for many calls and ends with what is
// this call's own, so that a provider can reuse the work on the common
// beginning: our instructions, the task, its context, the outputs of other
// subtasks, inputs, and at last the role, the description, and what is to be
// revised. All workers of a run have the same system message; a specialist's own
// system text is part of the end, unless it is configured to come first. Nothing
// before the end depends on the run's id, on the time or on a map's order. Images
// follow the text.
//
// Sections are marked by tags. Inside a section, the tags that could end it or
// forge a part of it are made harmless: their "<" becomes "‹" (U+2039), one
// character for one, and all else stays as it is. A caller's own prompt gets
// task, context, inputs and description raw, because its author alone knows what they
// are in the middle of; the sections {dependencies} and {results} are the same
// there as in our own prompts.
//
// # Limitations
//
// The estimate of tokens knows no model's vocabulary. It is meant to be too high;
// where it is too low, the provider's complaint lowers the window that this process
// assumes for the model, and the next attempt is made to fit. A synthesis that is
// combined from groups costs a call for each of them, and each such call has the
// whole subtask timeout for itself; all calls of a subtask's attempt, its tools'
// and its judges' too, share one. An output that must satisfy a schema is shown
// when it is whole, and so is the answer of a worker with tools, which until then
// may ask for one. An answer outside of <response>, as callers' own prompts may ask
// for, is shown to those who listen only when it has ended: until then it may turn
// out to be thinking.
package agent
