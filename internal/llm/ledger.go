package llm

import (
	"container/heap"
	"math"
	"time"
)

// A ledger says whose turn it is among parties that wait, which are the tenants
// or the runs of one of them. It is fair by what they get, in tokens, however
// many calls that is: start-time fair queueing, in rounds. In each round a party
// may begin as many tokens as its weight has it, and whoever has begun them
// waits for the next one. Within a round the greater weight goes first, then
// the nearer deadline, then who has had less. So a near deadline buys an earlier
// place in a round and not a token more.
//
// A newcomer begins with the next round: it has no credit for the time in which
// it wanted nothing, and is never passed over for longer than others take to end
// the one under way. Nor does one whose gate was closed save up more than a few
// rounds. Who does not wait is forgotten as soon as it is no better off than a
// newcomer.
//
// It is not safe for concurrent use.
type ledger struct {
	parties map[string]*party // who waits, and whoever else is known
	waiting standing
	idle    standing // who does not wait
	now     float64  // where the last one stood that was served
	arrival uint64   // of the last one that began to wait
}

// A party to a ledger is a tenant, or a run of it.
type party struct {
	name     string
	ledger   *ledger
	had      float64 // tokens for a weight of 1, on the ledger's scale
	weight   float64
	deadline int64 // in ns; the greatest number: none
	waits    bool
	arrival  uint64 // since when it waits
	index    int    // in its standing; -1 once it is forgotten

	runs   *ledger // a tenant's
	tenant *party  // a run's
	lanes  []*lane // a run's, none of them empty; few, as runs ask few models
}

const (
	roundTokens = 2048 // of a weight of 1
	roundsLag   = 4    // that nobody is behind by more than
	idleMost    = 1000 // parties that are known though they do not wait
)

func roundOf(had float64) float64 { return math.Floor(had / roundTokens) }

// come returns the party of that name, which waits from now on.
func (l *ledger) come(name string, weight float64, deadline time.Time) *party {
	p := l.parties[name]
	switch {
	case p == nil:
		if l.parties == nil {
			l.parties = make(map[string]*party, 1)
		}
		p = &party{name: name, ledger: l, had: (roundOf(l.now) + 1) * roundTokens}
		l.parties[name] = p
	case p.waits:
		return p
	default:
		heap.Remove(&l.idle, p.index)
	}
	l.arrival++
	p.weight, p.waits, p.arrival, p.deadline = weight, true, l.arrival, math.MaxInt64
	if p.weight <= 0 {
		p.weight = 1
	}
	if !deadline.IsZero() {
		p.deadline = deadline.UnixNano()
	}
	heap.Push(&l.waiting, p)
	return p
}

// serve charges a party with what its turn will cost, and reports whether there
// was somebody else whose turn it might have been.
func (l *ledger) serve(p *party, cost int) bool {
	l.now = max(l.now, p.had)
	p.had = max(p.had, (roundOf(l.now)-roundsLag)*roundTokens)
	p.charge(cost)
	l.forget()
	return len(l.waiting) > 1
}

// charge adds to what the party has had. To give back is to charge less than
// nothing.
func (p *party) charge(cost int) {
	p.had += float64(cost) / p.weight
	switch {
	case p.index < 0:
	case p.waits:
		heap.Fix(&p.ledger.waiting, p.index)
	default:
		heap.Fix(&p.ledger.idle, p.index)
	}
}

// leave takes a party out of those that wait.
func (l *ledger) leave(p *party) {
	heap.Remove(&l.waiting, p.index)
	p.waits = false
	heap.Push(&l.idle, p)
	l.forget()
}

// forget drops the idle ones that are no better off than newcomers, or too many.
func (l *ledger) forget() {
	for len(l.idle) > 0 && (len(l.idle) > idleMost || roundOf(l.idle[0].had) < roundOf(l.now)) {
		delete(l.parties, heap.Pop(&l.idle).(*party).name)
	}
}

// before reports whether it is a party's turn before another one's.
func (p *party) before(other *party) bool {
	switch mine, others := roundOf(p.had), roundOf(other.had); {
	case mine != others:
		return mine < others
	case p.weight != other.weight:
		return p.weight > other.weight
	case p.deadline != other.deadline:
		return p.deadline < other.deadline
	case p.had != other.had:
		return p.had < other.had
	}
	return p.arrival < other.arrival
}

// A standing is a heap of parties, the one first whose turn it is.
type standing []*party

// first returns the first party at i or below that will do, or best if that goes
// before it. It looks at those alone that go before the one it finds, and at
// their neighbors.
func (s standing) first(i int, best *party, do func(*party) bool) *party {
	switch {
	case i >= len(s) || best != nil && best.before(s[i]):
		return best
	case do(s[i]):
		return s[i]
	}
	best = s.first(2*i+1, best, do)
	return s.first(2*i+2, best, do)
}

func (s standing) Len() int { return len(s) }

func (s standing) Less(i, j int) bool { return s[i].before(s[j]) }

func (s standing) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

// Push adds a party at the end, for package heap.
func (s *standing) Push(x any) {
	p := x.(*party)
	p.index = len(*s)
	*s = append(*s, p)
}

// Pop takes the last party away, for package heap.
func (s *standing) Pop() any {
	last := len(*s) - 1
	p := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	p.index = -1
	return p
}
