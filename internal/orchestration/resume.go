package orchestration

import "fmt"

// maxStarts is how many processes in a row may take a run up, with calls in
// flight, before any of those calls ends: it may be this run that they die of.
const maxStarts = 5

// resume goes on in another process. The calls in flight are lost, and nobody
// knows how they ended: each is made again, as a new attempt that is known to
// the provider by the key of the lost one, unless a later plan has left it out.
func (d *decision) resume() {
	r := d.run
	if r.Status == StatusQueued {
		return
	}
	var lost []Command
	for _, call := range r.inFlight() {
		if r.Ending != nil || r.gaveUp(call) {
			d.do(Abort{Call: call})
		} else {
			lost = append(lost, call)
		}
	}
	if r.Ending != nil {
		d.resumeEnd()
		return
	}
	if len(lost) > 0 && r.Starts >= maxStarts {
		d.stop(StatusFailed, Reason{
			Code: CodePoisonRun,
			Detail: fmt.Sprintf("The server stopped %d times in a row while the same calls of this run were in flight, "+
				"so they are not made again.", r.Starts+1),
		})
		return
	}
	if len(lost) > 0 {
		d.emit(0, &RunResumed{Starts: r.Starts + 1})
	}
	for _, timer := range r.timers() {
		d.do(timer)
	}
	for _, call := range lost {
		if r.Ending != nil { // one of them could not be paid for: the others were aborted with the run
			break
		}
		switch c := call.(type) {
		case MakePlan:
			d.askPlanner(r.Planning.Call, nil)
		case Work:
			d.work(r.Subtask(c.Subtask.ID), r.Subtask(c.Subtask.ID).Call)
		case Synthesize:
			d.askSynthesizer(r.Synthesis.Call)
		}
	}
	d.advance()
}
