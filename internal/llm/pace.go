package llm

import "time"

// A pace spreads calls in time. There is none until an endpoint refuses a call;
// then it is what the endpoint took of late, holds included. From there it
// grows with each success, as long as it is used: fast at first, and slowly
// once it was refused itself, until it has grown well past that. A pace too
// fast to matter is none.
//
// Where an endpoint fails for a while, what it took then is next to nothing, and says
// nothing of what it takes when it is well again. So the pace remembers what it took
// for some time before. Once a few calls in a row are taken, far below that, it grows
// fast. Whenever this turns out to be wrong, half of what is remembered is forgotten, so
// that an endpoint that does take less than it did is asked too much of a few times only.
//
// Holds alone would do for the endpoint, but each of them begins with a call
// that is refused; where few calls a second are taken that is a large part of
// them, and the same request might be the one again and again.
type pace struct {
	rate   float64 // calls a second; 0: as they come
	before float64 // the rate when the last round of refusals began
	edge   float64 // the rate after it was last found too fast; 0 when it got well past that
	step   float64 // by which share a success raises the rate near the edge
	next   time.Time

	best float64 // the rate that was taken for some time; 0: none was
	calm int     // successes of calls that were sent since the last refusal
	back bool    // since then the rate grew fast, back to the best one

	since time.Time // what follows was taken since then
	last  time.Time // when a call was sent
	taken float64
	every float64   // seconds between two calls, of late
	until time.Time // the end of a hold that nothing has been sent after; else zero
}

const (
	paceFirst = 1.0       // calls a second at least, as little may have been taken before the first refusal
	paceLeast = 1.0 / 60  // calls a second at least
	paceMost  = 1000.0    // calls a second: what is faster needs no pace
	paceBelow = 0.97      // of a rate that was too fast
	pacePast  = 1.1       // of the edge: it is no edge any more
	paceUsed  = 0.7       // of the rate: with less, successes say nothing of it
	paceNew   = 1.0 / 4   // of what was of late is the last one
	paceFast  = 1.0 / 8   // by which share a success raises the rate
	paceBack  = 1.0 / 2   // … far below the best one
	paceCalm  = 5         // successes in a row, after which it may go back
	paceSlow  = 0.05 / 40 // the same near the edge: by 5 % in 40 calls …
	paceHolds = 0.05 / 20 // … or in 20 holds, so that refusals and holds stay below a twentieth

	paceTime = 30 * time.Second      // that the best rate was taken for: a burst says nothing
	paceIdle = time.Second           // without a call: what was taken before says nothing
	paceLate = 10 * time.Millisecond // that a timer may be late, to be made up for
)

// sent counts a call that goes out.
func (p *pace) sent(now time.Time) {
	gap := p.gap()
	switch {
	case !p.until.IsZero():
		p.since, p.taken, p.until = p.until.Add(-p.until.Sub(p.since)/2), p.taken/2, time.Time{}
	case now.Sub(p.last) > max(paceIdle, 2*gap):
		p.since, p.taken = now, 0 // nothing was asked for, so nothing was taken
	}
	p.every += paceNew * (min(now.Sub(p.last), max(paceIdle, 2*gap)).Seconds() - p.every)
	p.last = now
	p.taken++
	if gap == 0 {
		return
	}
	if late := now.Add(-min(gap, paceLate)); p.next.Before(late) {
		p.next = late
	}
	p.next = p.next.Add(gap)
}

func (p *pace) gap() time.Duration {
	if p.rate == 0 {
		return 0
	}
	return time.Duration(float64(time.Second) / p.rate)
}

// succeed counts a call that was taken. One is fresh that was sent after the last refusal.
func (p *pace) succeed(fresh bool) {
	if p.rate == 0 || paceUsed*p.every > 1/p.rate {
		return // what is not used is not proven
	}
	if fresh {
		p.calm++
	}
	step := paceFast
	switch {
	case p.calm >= paceCalm && p.rate < p.best/2:
		step, p.edge, p.back = paceBack, 0, true
	case p.edge > 0:
		step = p.step
	}
	p.rate *= 1 + step
	if p.rate > pacePast*p.edge {
		p.edge = 0
	}
	if p.rate > paceMost {
		p.rate, p.edge, p.next = 0, 0, time.Time{}
	}
}

// took returns how many calls a second the endpoint took.
func (p *pace) took(until time.Time) float64 {
	return p.taken / max(until.Sub(p.since), time.Millisecond).Seconds()
}

// blame begins a round: one burst of refusals is one.
func (p *pace) blame(now time.Time) {
	if p.back {
		p.best /= 2
	}
	if now.Sub(p.since) >= paceTime {
		p.best = max(p.best, p.took(now))
	}
	p.before, p.calm, p.back = p.rate, 0, false
}

// refuse learns from a call that was refused: nothing goes out until then,
// which is at least hold from now. Unless the call was too fast, it may
// have been one too many at once, and only the first pace is learned from it.
func (p *pace) refuse(tooFast bool, until time.Time, hold time.Duration) {
	p.taken = max(0, p.taken-1)
	p.until = until
	took := p.took(until)
	switch {
	case p.before == 0:
		p.rate, p.edge = min(max(took, paceFirst), paceMost), 0
	case !tooFast:
		return
	default:
		p.rate = max(paceLeast, p.before/2, min(took, paceBelow*p.before))
		p.edge = p.rate
	}
	p.step = min(paceSlow, paceHolds/(p.rate*min(hold, 10*time.Second).Seconds()))
}
