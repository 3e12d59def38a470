package main

import (
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"path"
	"sync"
	"syscall"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/agent"
	"github.com/tutti-run/tutti/internal/orchestration/schema"
	"github.com/tutti-run/tutti/internal/orchestration/workflow"
)

// newWorkflows reads the folder of templates. Its error has every fault on a line
// of its own.
func (s *server) newWorkflows() (*workflow.Store, error) {
	c := &s.config
	folder := os.DirFS(c.Workflows)
	if c.sources["TUTTI_WORKFLOWS"] == "" {
		folder = optional{folder}
	}
	store, faults := workflow.NewStore(folder, s.workflowRules())
	var bad []error
	for _, f := range faults {
		bad = append(bad, errors.New(c.faultOf(f)))
	}
	return store, errors.Join(bad...)
}

// faultOf says what is wrong with a template, or with the folder.
func (c *Config) faultOf(f workflow.Fault) string {
	if f.File == "" {
		return c.from("TUTTI_WORKFLOWS") + ": " + c.Workflows + ": " + f.String()
	}
	f.File = path.Join(c.Workflows, f.File)
	return f.String()
}

// optional is a folder that may be missing, and is then empty.
type optional struct{ fs.FS }

// ReadDir lists the folder.
func (o optional) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(o.FS, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// workflowRules are what templates are checked by.
func (s *server) workflowRules() workflow.Rules {
	d := s.runDefaults()
	rules := workflow.Rules{
		Plan: orchestration.Rules{
			MaxSubtasks: d.Limits.MaxSubtasks,
			Workers:     d.Workers, Tools: d.Tools, Schema: d.Schema, Expressions: d.Expressions,
		},
		Conforms: schema.Conforms,
		Prompts:  agent.CheckPrompts,
	}
	if d.Exclusive {
		rules.Plan.Model = func(name string) bool { _, known := s.config.Models[name]; return known }
	}
	return rules
}

// heedHangups has SIGHUPs wait from now on: they would end the process otherwise, also
// while it starts.
func (s *server) heedHangups() {
	s.hangups = make(chan os.Signal, 1)
	signal.Notify(s.hangups, syscall.SIGHUP)
}

// reloadWorkflows has the templates read again at each SIGHUP, until stop is
// called.
func (s *server) reloadWorkflows() (stop func()) {
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-s.hangups:
				s.reload()
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		watch.Wait()
	}
}

// reload reads the templates again. What is wrong with them is logged, and then
// those from before stay.
func (s *server) reload() {
	faults := s.workflows.Reload()
	for _, f := range faults {
		s.log.Error("workflow refused", zap.String("fault", s.config.faultOf(f)))
	}
	if len(faults) > 0 {
		s.log.Error("workflows not reloaded: those from before stay", zap.Int("faults", len(faults)))
		return
	}
	s.log.Info("workflows reloaded", zap.Strings("workflows", workflowNames(s.workflows)))
}

func workflowNames(store *workflow.Store) []string {
	var names []string
	for _, w := range store.List() {
		names = append(names, w.ID())
	}
	return names
}
