package drafting

import (
	"slices"
	"testing"
	"time"

	"github.com/tutti-run/tutti/test/service"
)

// BenchmarkDelay measures how long it takes from the byte that completes a subtask, as
// the model's endpoint writes it, until the worker's request has arrived there: over
// loopback, through the real server and its journal on the disk.
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
	var delays []time.Duration
	for b.Loop() {
		path := s.Post(b, "/v1/runs", `{"task": "Do it"}`).Header.Get("Location")
		at := <-written
		<-u.works
		delays = append(delays, time.Since(at))
		answered <- struct{}{}
		s.Get(b, path+"?wait=60")
	}
	slices.Sort(delays)
	report := func(q float64, unit string) {
		b.ReportMetric(float64(delays[int(q*float64(len(delays)-1))])/float64(time.Millisecond), unit)
	}
	report(0.5, "ms-p50")
	report(0.9, "ms-p90")
	report(1, "ms-max")
	b.ReportMetric(0, "ns/op")
}
