package simulator

import (
	"crypto/sha256"
	"sync"
	"time"
)

// A Record is what became of one call.
type Record struct {
	Request
	Digest   [sha256.Size]byte // of the body, as it came
	Ended    time.Time         // zero while the call is in flight
	Status   int               // 0 where no answer was sent, or is not yet
	Answered bool              // the answer was sent to its end; whether it arrived, only the caller knows
	Fault    Fault
	Reply    string     // the text decided upon, even where a fault kept part of it back
	Asked    []ToolCall // the calls of tools decided upon, likewise
	Usage    Usage
}

// A ledger keeps the latest calls, in the order of arrival.
type ledger struct {
	mu      sync.Mutex
	size    int
	records []*Record
}

func (l *ledger) open(r Request, digest [sha256.Size]byte) *Record {
	rec := &Record{Request: r, Digest: digest}
	if l.size > 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.records) >= l.size {
			l.records = append(l.records[:0], l.records[len(l.records)-l.size+1:]...)
		}
		l.records = append(l.records, rec)
	}
	return rec
}

// edit changes a record that readers may be looking at.
func (l *ledger) edit(change func()) {
	if l.size == 0 {
		change()
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *ledger) list() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Record, len(l.records))
	for i, rec := range l.records {
		out[i] = *rec
	}
	return out
}
