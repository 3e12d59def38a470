// Package simulator answers the OpenAI chat completions API without a model.
//
// It is what Tutti talks to when no endpoint is configured, what the demo
// shows, and the tool of the load tests and the fault tests. [New] makes an
// [http.Handler]; [Listen] serves it on a loopback port.
//
//	POST {base}/chat/completions   whole, or streamed with "stream": true
//	GET  {base}/models
//
// # Answers
//
// A call is answered as the [Role] that its request asks for (see [Role] for
// how that is told), in words that say "[simulated]". The same messages to the
// same model get the same bytes each time, streamed or whole, save for
// "created": a hash of them seeds every choice, but those of a planner, which a
// hash of its task does. Only the rates of [Options] depend on something else: on
// the seed and on the place of the call in the order of arrival. So the number of
// faults in a test is fixed; which request meets them is too, as long as the
// requests come one after another.
//
// An answer to a JSON Schema satisfies it; [New] says in which bounds. A
// conversation that ends with the start of an answer and the wish that it be
// continued gets the rest of it.
//
// From a prompt it reads the task in <task>…</task> or after "Task:", what a
// worker is to do in <description>…</description> or after "Guidelines:" or
// "Description:", outputs of other subtasks in <output id="T1" type="…">, a
// synthesizer's in <result id="T1" type="…">, the workers on offer in
// <workers>, and how many subtasks are wanted ("at least 2", "2-3 approaches").
// It answers within <response> where the prompt shows that. A part of a run
// that is planned by itself, with <dependencies> or <inputs> in the prompt, gets a
// small plan. A planner that is shown a <plan> of <subtask>s that have no status
// writes the rest of it.
//
// A worker that is shown <feedback>, on what stands in <refused> or on its last
// answer, revises it: the text says "(revision 1)", and one more than that where
// the refused one said so too. An evaluator is satisfied with what follows
// <output>, and chooses the first option of a schema's enum or of <option>…</option>.
//
// # Directives
//
// A task steers the simulator by a directive, anywhere in its text:
//
//	[[sim subtasks=10 shape=chain]]   the plan has exactly ten subtasks, each after the one before it
//	[[sim out=2000]]                  each worker answers with 2,000 bytes of text
//	[[sim latency=100ms]]             each call that sees this takes as long, whatever Options say
//	[[sim json={"items": [1, 2]}]]    a worker answers with just this, whatever a schema asks for
//	[[sim tool=now args={"tz": "Z"}]] a worker that has this tool calls it, then quotes its result
//	[[sim unsatisfied=2]]             an evaluator refuses an output and its first revision: two in all
//	[[sim option="none of them"]]     an evaluator chooses this option, if it is one
//
// The keys may stand in one directive. A value is JSON where it begins like a
// string, an object or an array; others end at a blank. Shapes are fan (the
// default: no dependencies), chain, diamond (one, then all but the last side by
// side, then the last) and random (each after up to three earlier ones).
//
// Several tools in one directive are called at once, those of several directives
// one directive after the other. The JSON of several directives is for an answer
// and its revisions in turn; the last one is kept, and an object then says which
// revision it is: "revision": 2. An evaluator counts by these marks, so it needs
// no memory; an output that has no place for one stays refused.
//
// What stands in a <subtask>, a <rubric> or a <question> goes before what the
// rest of the prompt says, and json and tool count only there, if there is one.
// A planner hands out, latency, json and tool on within the descriptions of its
// subtasks, so they reach the workers even where those do not see the task.
// Bounds: 1,000 subtasks or refusals, 4 MiB, 10 minutes; what goes beyond is cut
// to the bound. A directive has at most 4 kB.
//
// # Limitations
//
// A token is four bytes. tool_choice, n, stop, seed and logprobs are ignored.
// Schemas' patterns, not, if, contains, dependent* and unevaluated* are not
// looked at. The API key is not checked.
package simulator
