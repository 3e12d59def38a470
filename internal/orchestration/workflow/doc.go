// Package workflow reads workflow templates: named, versioned plans in YAML, kept
// in a folder.
//
// A template passes, in this order: [Parse] (bounds of the YAML, then its shape
// by workflows/schema.json), [Template.Check] (what only the server knows: its
// workers, tools, models, expressions, other templates) and, for each run,
// [Template.Apply] (the caller's request over what the template presets, the
// parameters, and the templates that it is made of put in their places).
// Every fault is reported, with its place in the file.
//
// A catalog is a folder's templates as they were read at one time, and a
// [Store] the one that counts now. Runs under way do not see either: a run
// carries its plan.
package workflow
