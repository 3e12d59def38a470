//go:build integration

package kill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tutti-run/tutti/test/service"
)

// A killer draws how long each process lives. Two in five live shortly, half of
// these for less than 63 ms: they die while they start, open the journal, take up
// the runs, or with their first calls. There are no more than two of them in a
// row, because a run may be given up that makes no progress from start to start.
// The others live long enough for the longest call, and for many. When their time
// has come they die at once, or with the next call, acknowledgement or event: so
// what must come before one of these is caught if it comes after.
type killer struct {
	rng    *rand.Rand
	shorts int // in a row
}

// A sign is something that the server did, seen from outside.
type sign int

const (
	called       sign = iota // the model endpoint
	acknowledged             // a run
	told                     // a reader of an event
	noSign
)

// signs are received by the killer, if it waits for one of that kind.
type signs [noSign]chan struct{}

func newSigns() (s signs) {
	for i := range s {
		s[i] = make(chan struct{})
	}
	return s
}

// give lets the killer know, if it waits for that.
func (s *signs) give(of sign) {
	select {
	case s[of] <- struct{}{}:
	default:
	}
}

// A doom is how a process will die.
type doom struct {
	lasts time.Duration
	short bool // lasts counts from the start of the process, not from its readiness
	at    sign // what it dies with, after that time
}

const (
	shortShare = 0.4
	shortLife  = 250 * time.Millisecond // at most, from the start
	longLife   = 900 * time.Millisecond // at most, from readiness; at least shortLife
)

// next draws a life.
func (k *killer) next() doom {
	short, share, at := k.rng.Float64() < shortShare, k.rng.Float64(), sign(k.rng.IntN(int(noSign)+1))
	if short && k.shorts < 2 {
		k.shorts++
		return doom{time.Duration(share * share * float64(shortLife)), true, noSign}
	}
	k.shorts = 0
	return doom{shortLife + time.Duration(share*float64(longLife-shortLife)), false, at}
}

// succeed has one process after the other start, live and be killed, and
// returns the last one, which is not.
func (p *processes) succeed(ctx context.Context, k *killer, pace *pace) (*service.Server, error) {
	for n := range *kills {
		due := n**runs / *kills - parallel
		err := p.live(ctx, k.next(), func() { pace.until(func(_, acked int) bool { return acked >= due }) })
		if err != nil {
			return nil, err
		}
		pace.killed()
	}
	s := p.start()
	return s, p.whenReady(ctx, s)
}

// live has one process start, live for its time and die. A life that is not
// short begins when the process is ready and hold returns.
func (p *processes) live(ctx context.Context, d doom, hold func()) error {
	s := p.start()
	if !d.short {
		if err := p.whenReady(ctx, s); err != nil {
			return err
		}
		hold()
	}
	doomed, cancel := context.WithTimeout(ctx, d.lasts)
	defer cancel()
	if d.short && s.Ready(doomed) == nil {
		p.show(s)
	}
	select {
	case <-doomed.Done():
	case <-s.Done():
	}
	if d.at != noSign {
		select {
		case <-p.signs[d.at]:
		case <-time.After(shortLife): // nothing happens
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return p.kill(s)
}

// whenReady lets clients have the server once it takes runs.
func (p *processes) whenReady(ctx context.Context, s *service.Server) error {
	ctx, cancel := context.WithTimeout(ctx, service.Patience)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		return fmt.Errorf("process %d: %w\n%s", p.number(), err, s.Log())
	}
	p.show(s)
	return nil
}
