package main

import (
	"context"
	"io"
	"syscall"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

// A SIGHUP that comes while the server starts does not end it: the templates are
// read again once it serves.
func TestHangupWhileItStarts(t *testing.T) {
	c := defaults()
	c.Addr, c.Journal, c.simulator, c.ShutdownGrace = "127.0.0.1:0", "mem:", simulator.Options{}, 0
	if err := c.check(map[string]string{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	reloaded := false
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.InfoLevel),
		zap.Hooks(func(e zapcore.Entry) error {
			if e.Message == "workflows reloaded" {
				reloaded = true
				cancel()
			}
			return nil
		}))
	s, err := newServer(ctx, c, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(ctx); err != nil || !reloaded {
		t.Errorf("reloaded: %v, %v", reloaded, err)
	}
}
