package agent

import (
	"strings"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// deltas shows what can be seen of an answer while it is being written. A nil
// one shows nothing.
type deltas struct {
	p      *performance
	reader answerReader
	next   orchestration.Delta // what comes, but for its text
	blanks string              // white space that belongs to the answer only if more of it follows
	broken bool
}

func newDeltas(p *performance, subtask string) *deltas {
	return &deltas{p: p, next: orchestration.Delta{Run: p.Run, Subtask: subtask, Attempt: p.attempt}}
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

// end shows what is left when the answer has ended.
func (d *deltas) end() {
	if d == nil || d.broken {
		return
	}
	defer d.contain()
	d.send(d.reader.Close())
}

func (d *deltas) send(text string) {
	text = d.blanks + text
	visible := strings.TrimRightFunc(text, isSpace)
	d.blanks = text[len(visible):]
	if visible == "" {
		return
	}
	d.next.Text = visible
	d.p.Deltas(d.next)
	d.next.Offset += len(visible)
}

func (d *deltas) contain() {
	if v := recover(); v != nil {
		d.broken = true
		d.p.panicked(v)
	}
}
