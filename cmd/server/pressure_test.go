package main

import (
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		used, looks := uint64(0), 0
		p := &pressure{limit: 100, used: func() uint64 { looks++; return used }, collect: func() {}}
		for _, step := range []struct {
			used uint64
			high bool
		}{{0, false}, {90, false}, {91, true}, {300, true}, {89, false}} {
			used = step.used
			time.Sleep(lookEvery)
			if p.high() != step.high {
				t.Errorf("with %d of 100 used, high is %t", step.used, !step.high)
			}
		}

		used, looks = 99, 0
		for range 1000 {
			if p.high() {
				t.Error("what was found does not count for a while")
			}
		}
		if looks != 0 {
			t.Errorf("it was looked %d times at once", looks)
		}
		time.Sleep(lookEvery)
		if !p.high() {
			t.Error("it was not looked again")
		}
	})
}

// A server that refuses all runs makes little garbage, and would not notice for
// long that its memory is free.
func TestPressureCollects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var collections atomic.Int64
		p := &pressure{limit: 100, collect: func() { collections.Add(1) }, used: func() uint64 {
			if collections.Load() < 3 {
				return 99
			}
			return 50
		}}
		began := time.Now()
		for p.high() {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if took := time.Since(began); took < 2*collectEvery || took > 3*collectEvery {
			t.Errorf("three collections took %v", took)
		}
		time.Sleep(time.Minute)
		if p.high() || collections.Load() != 3 {
			t.Error("garbage was collected where memory is free")
		}
	})
}

func TestNoPressureWithoutALimit(t *testing.T) {
	p := &pressure{limit: math.MaxInt64, used: func() uint64 { return math.MaxUint64 }}
	if p.high() {
		t.Error("there is a pressure without a limit")
	}
}

// What is in use counts, and garbage does not.
func TestMemoryUsed(t *testing.T) {
	const size = 64 << 20
	runtime.GC()
	runtime.GC() // pools give theirs up at the second one: of other tests, that is much
	before := memoryUsed()
	held := make([]byte, size)
	for i := range held {
		held[i] = 1
	}
	runtime.GC()
	with := memoryUsed()
	runtime.KeepAlive(held)
	runtime.GC()
	after := memoryUsed()
	if got := int64(with) - int64(before); got < size*9/10 || got > size*12/10 {
		t.Errorf("%d bytes in use count as %d", size, got)
	}
	if got := int64(after) - int64(before); got > size/10 {
		t.Errorf("%d bytes of garbage count as %d", size, got)
	}
}
