package main

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"time"
)

// keyMark begins what tells the calls of one run from those of another; "]"
// ends it.
const keyMark = "[bench "

// paths takes note of when the calls of runs came and were answered.
type paths struct {
	mu    sync.Mutex
	calls map[string][]span // by the run's key
}

type span struct{ began, ended time.Time }

// add takes note of a call, if the run that it is of has a key.
func (p *paths) add(body []byte, began, ended time.Time) {
	_, rest, found := bytes.Cut(body, []byte(keyMark))
	key, _, closed := bytes.Cut(rest, []byte("]"))
	if !found || !closed {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil {
		p.calls = map[string][]span{}
	}
	p.calls[string(key)] = append(p.calls[string(key)], span{began, ended})
}

// take returns the time that a run of 1 + n + 1 calls cannot but take: that of
// its plan, of the longest of its subtasks and of its synthesis.
func (p *paths) take(key string) (time.Duration, error) {
	p.mu.Lock()
	calls := p.calls[key]
	delete(p.calls, key)
	p.mu.Unlock()
	if len(calls) < 3 {
		return 0, errors.New("no such run")
	}
	slices.SortFunc(calls, func(a, b span) int { return a.began.Compare(b.began) })
	took := func(s span) time.Duration { return s.ended.Sub(s.began) }
	last := len(calls) - 1
	var longest time.Duration
	for _, c := range calls[1:last] {
		longest = max(longest, took(c))
	}
	return took(calls[0]) + longest + took(calls[last]), nil
}
