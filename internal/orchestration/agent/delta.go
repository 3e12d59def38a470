package agent

// deltas shows what can be seen of an answer while it is being written. A nil
// one shows nothing.
type deltas struct {
	p      *performance
	reader AnswerReader
	next   Delta // what comes, but for its text
	broken bool
}

func newDeltas(p *performance, subtask string) *deltas {
	return &deltas{p: p, next: Delta{Run: p.Run, Subtask: subtask, Attempt: p.attempt}}
}

// write takes the next piece of the model's text. It is called by the client,
// maybe on a goroutine of its own, so a panic must not leave it: deltas are a
// courtesy, and the answer is read again as a whole.
func (d *deltas) write(piece string) {
	if d == nil || d.broken || piece == "" {
		return
	}
	defer d.contain()
	d.send(d.reader.Write(piece))
}

func (d *deltas) send(text string) {
	if text == "" {
		return
	}
	d.next.Text = text
	d.p.Deltas(d.next)
	d.next.Offset += len(text)
}

func (d *deltas) contain() {
	if v := recover(); v != nil {
		d.broken = true
		d.p.panicked(v)
	}
}
