package llm

import (
	"math/rand/v2"
	"time"
)

// A gate holds back the calls to one model of one provider, so that what the
// endpoint refuses (429, 503, 529) is not sent to be refused again. It learns
// three things: how many calls the endpoint takes at once (limit), until when
// it wants none at all (until), and how fast it takes them after that (pace).
// It is not safe for concurrent use: the Pool's lock guards it.
//
// A refused call was one too many at once, or it was too fast. It was too fast
// if clearly more calls at once were taken lately; else the limit is cut, which
// begins at the pool's slots: to the calls still in flight, as the endpoint has
// taken these, but at most to its half, or by as many as were refused. A burst of
// refusals is one: calls that were sent before the last cut say nothing new but
// how many they are. Each limit's worth of successes raises it by one; to go where
// it was refused last takes many times as many, so that few calls are spent on
// finding the same edge again.
type gate struct {
	slots    int
	limit    int // calls in flight at once, 1 to slots
	inFlight int
	proven   int // successes since the limit changed, with at least half of it used
	peak     int // most calls in flight at once that were taken, and fewer than at the last refusal

	round   int           // of refusals: it ends the one of all calls in flight
	silent  int           // rounds since the last success
	cut     time.Time     // when the last round began
	floor   int           // of the limit in this round, as long as no more than half of it were refused
	refused int           // calls in this round
	tooMany bool          // whether this round was, rather than too fast
	edge    int           // calls in flight at once at which it was refused last; 0 when it got past that
	hold    time.Duration // that was asked for last
	until   time.Time     // when it ends

	pace pace

	answer float64         // tokens that an answer took of late
	tails  map[tempo]*tail // how long answers took of late
	spare  float64         // second calls that may go out, see [Pool.Hedge]
}

const (
	holdMost   = 5 * time.Minute       // of what an endpoint may ask for
	holdFirst  = 50 * time.Millisecond // doubled with each round, where the endpoint asks for nothing
	holdLast   = 30 * time.Second      // of the same
	holdJitter = 0.1                   // at most this share is added

	// The edge is tried again after so many limits' worth of successes and so
	// many holds, or that time and at least so many successes: well below a
	// twentieth of the calls may be refused, and a fortieth of the time be a hold.
	edgeTrials = 40
	edgeTime   = time.Minute
	edgeLeast  = 40
	edgeHolds  = 40

	many = 8 // calls at once: where there are fewer, one more or less is much
)

func newGate(slots int) *gate { return &gate{slots: slots, limit: slots, answer: firstAnswer} }

// free reports whether one more call may be in flight.
func (g *gate) free() bool { return g.inFlight < g.limit }

// next returns when it may go out.
func (g *gate) next() time.Time {
	if g.pace.next.After(g.until) {
		return g.pace.next
	}
	return g.until
}

func (g *gate) open(now time.Time) bool { return g.free() && !now.Before(g.next()) }

// enter counts a call that goes out, and returns its pass.
func (g *gate) enter(now time.Time) pass {
	g.inFlight++
	g.pace.sent(now)
	full := g.inFlight >= g.limit || g.limit >= many && g.inFlight == g.limit-1 // the last one may be overtaken
	return pass{gate: g, round: g.round, level: g.inFlight, full: full}
}

// leave counts the end of a call. Failures that are no refusals say nothing of
// how much the endpoint takes.
func (g *gate) leave(now time.Time, had pass, ended *Error) {
	switch ended.Outcome {
	case OK:
		g.succeed(now, had)
	case RateLimited, Overloaded:
		g.refuse(now, had, ended)
	}
	g.inFlight--
}

func (g *gate) succeed(now time.Time, had pass) {
	g.silent = 0
	g.peak = max(g.peak, had.level)
	g.pace.succeed(had.round == g.round)
	if g.limit == g.slots || 2*max(had.level, g.inFlight) < g.limit {
		return
	}
	g.proven++
	if g.proven < g.limit || g.edge > 0 && g.limit+1 >= g.edge && !g.trusted(now) {
		return
	}
	g.proven = 0
	g.limit++
	if g.limit > g.edge {
		g.edge = 0
	}
}

// trusted reports whether the endpoint may be tried at the edge again.
func (g *gate) trusted(now time.Time) bool {
	calm := now.Sub(g.cut)
	return calm >= edgeTime && g.proven >= edgeLeast || calm >= edgeHolds*g.hold && g.proven >= edgeTrials*g.limit
}

func (g *gate) refuse(now time.Time, had pass, ended *Error) {
	first := had.round == g.round
	if first {
		g.blame(now, had)
	}
	if g.refused++; g.tooMany {
		g.cutTo(g.inFlight-1, had.level)
	}
	g.hold = min(ended.RetryAfter, holdMost)
	if g.hold <= 0 {
		g.hold = min(holdFirst<<min(g.silent, 10), holdLast)
	}
	if until := now.Add(g.hold + time.Duration(rand.Float64()*holdJitter*float64(g.hold))); until.After(g.until) {
		g.until = until
	}
	g.pace.refuse(!g.tooMany, g.until, g.hold)
}

// cutTo lowers the limit to as many calls as are still in flight, if enough were
// refused for that. When none is, nothing was taken at all: that says little of
// how much would be.
func (g *gate) cutTo(taken, level int) {
	if taken == 0 {
		g.limit, g.edge = max(g.limit, g.floor), 0
		return
	}
	g.edge = min(g.edge, level)
	g.limit = max(1, min(g.limit, max(taken, min(g.floor, 2*g.floor-g.refused))))
}

// blame begins a round, and says what was wrong.
func (g *gate) blame(now time.Time, had pass) {
	g.round++
	g.silent++
	g.cut, g.proven, g.refused = now, 0, 0
	g.pace.blame(now)
	if g.tooMany = g.crowded(had.level); g.tooMany {
		g.floor = (g.limit + 1) / 2
		if had.full {
			g.edge = had.level
		}
	}
	g.peak = min(g.peak, had.level-1)
}

// crowded reports whether a call that was refused at that level was one too many
// at once. Calls overtake each other on their way, so that the peak of those that
// were taken may be a little above what the endpoint takes: where there are many,
// about as many will do.
func (g *gate) crowded(level int) bool {
	return level > g.peak || g.edge > 0 && level >= g.edge || level >= many && 10*level >= 9*g.peak
}
