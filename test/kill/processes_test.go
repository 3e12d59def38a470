//go:build integration

package kill

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/test/service"
)

// Processes are the servers of one journal, one after the other: each is
// started when the one before it is dead. They are numbered from 1, and each
// shows its number to the model endpoint, as its API key.
type processes struct {
	t       *testing.T
	journal string
	models  string // the endpoint's URL
	config  string // the file that has the tools
	signs   signs

	mu    sync.Mutex
	lives []life          // of the process numbered i+1
	ready *service.Server // nil: none takes runs now
	news  chan struct{}   // closed, and replaced, when that changes
}

// A life is the time of a process. It is no shorter than the process's own, and
// no two overlap.
type life struct {
	from, to time.Time // to is zero while it lives
	server   *service.Server
}

func newProcesses(t *testing.T) *processes {
	return &processes{t: t, journal: filepath.Join(t.TempDir(), "tutti.db"), signs: newSigns(), news: make(chan struct{})}
}

// start starts the next process and does not wait for it.
func (p *processes) start() *service.Server {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := service.Command()
	cmd.Dir = filepath.Dir(p.journal)
	cmd.Env = []string{
		"TUTTI_ADDR=127.0.0.1:0", "TUTTI_JOURNAL=sqlite:" + p.journal,
		"OPENAI_BASE_URL=" + p.models, "OPENAI_API_KEY=" + keyOf(len(p.lives)+1), "TUTTI_CONFIG=" + p.config,
	}
	from := time.Now()
	s := service.Begin(p.t, cmd)
	p.lives = append(p.lives, life{from: from, server: s})
	return s
}

// show lets clients have the server, nil for none.
func (p *processes) show(s *service.Server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = s
	close(p.news)
	p.news = make(chan struct{})
}

// kill ends the process with SIGKILL. It is an error if it has ended by itself.
func (p *processes) kill(s *service.Server) error {
	select {
	case <-s.Done():
		return fmt.Errorf("process %d ended by itself:\n%s", p.number(), s.Log())
	default:
	}
	s.Kill()
	p.mu.Lock()
	p.lives[len(p.lives)-1].to = time.Now()
	p.mu.Unlock()
	p.show(nil)
	return nil
}

// number is that of the latest process.
func (p *processes) number() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lives)
}

// at returns the process that lived at a time on the clock, 0 for none.
func (p *processes) at(when time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, l := range p.lives {
		if !when.Before(l.from.Round(0)) && (l.to.IsZero() || !when.After(l.to.Round(0))) {
			return i + 1
		}
	}
	return 0
}

// await returns the server that takes runs, and waits for one that is not the
// given one, which is dead or dying.
func (p *processes) await(ctx context.Context, not *service.Server) (*service.Server, error) {
	ctx, cancel := context.WithTimeout(ctx, service.Patience)
	defer cancel()
	for {
		p.mu.Lock()
		ready, news := p.ready, p.news
		p.mu.Unlock()
		if ready != nil && ready != not {
			return ready, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, fmt.Errorf("no server takes runs: %w", context.Cause(ctx))
		}
	}
}

const keyPrefix = "process-"

func keyOf(process int) string { return keyPrefix + strconv.Itoa(process) }

// processOf returns the process that made a call.
func processOf(r simulator.Record) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "+keyPrefix))
	return n
}
