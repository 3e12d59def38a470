package drafting

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tutti-run/tutti/test/service"
)

// BenchmarkDelay measures how long it takes from the byte that completes a subtask, as
// the model's endpoint writes it, until the worker's request has arrived there: over
// loopback, through the real server and its journal on the disk. Beside each, a bare
// flush of a page to that disk is timed: a part of every delay, and the one that nobody
// here can do anything about.
func BenchmarkDelay(b *testing.B) {
	written := make(chan time.Time)
	answered := make(chan struct{})
	u := serveModel(b, false, func(_ int, _ string, a *answer) {
		first := part(1)
		a.say(`{"subtasks": [` + first[:len(first)-1])
		time.Sleep(20 * time.Millisecond) // so that what came before is no part of it
		at := time.Now()
		a.say("}")
		written <- at
		<-answered
		a.say("]}")
		a.end()
	})
	s := service.Start(b, "OPENAI_BASE_URL="+u.URL)
	page := newPage(b)
	var delays, flushes []time.Duration
	for b.Loop() {
		path := s.Post(b, "/v1/runs", `{"task": "Do it"}`).Header.Get("Location")
		at := <-written
		<-u.works
		delays = append(delays, time.Since(at))
		answered <- struct{}{}
		s.Get(b, path+"?wait=60")
		flushes = append(flushes, page.flush(b))
	}
	report := func(all []time.Duration, of string) {
		slices.Sort(all)
		at := func(q float64) float64 { return all[int(q*float64(len(all)-1))].Seconds() * 1e3 }
		b.ReportMetric(at(0.5), "ms-p50"+of)
		b.ReportMetric(at(0.9), "ms-p90"+of)
		b.ReportMetric(at(0.99), "ms-p99"+of)
		b.ReportMetric(at(1), "ms-max"+of)
	}
	report(delays, "")
	report(flushes, "-flush")
	b.ReportMetric(0, "ns/op")
}

// A page is one of a file on the disk that the journals of services are on.
type page struct{ file *os.File }

func newPage(b *testing.B) page {
	f, err := os.Create(filepath.Join(b.TempDir(), "page"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return page{f}
}

// flush appends a page, and returns how long it takes to have it on the disk.
func (p page) flush(b *testing.B) time.Duration {
	began := time.Now()
	_, err := p.file.Write(make([]byte, 4096))
	if err := cmp.Or(err, p.file.Sync()); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}
