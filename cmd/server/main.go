// Command server is Tutti: it serves the API, drives runs and keeps them.
//
// From the outside in: main.go is the process and its signals, config.go with
// file.go and the files of checks the settings, help.go what -h shows, server.go
// serving and draining, wire.go what the service is made of, with a file for each
// of its parts, demo.go with board.go and frames.go the example run.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caarlos0/env/v11"

	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// How the process ends.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	c, do, err := loadConfig(args, env.ToMap(os.Environ()))
	if err != nil {
		complain(stderr, err)
		return exitUsage
	}
	ctx, stop := untilSignal(context.Background())
	defer stop()
	switch do {
	case commandHelp:
		help(stdout)
		return exitOK
	case commandVersion:
		_, _ = fmt.Fprintln(stdout, version())
		return exitOK
	case commandBackup:
		err = journal.Backup(ctx, c.Journal, c.Backup)
	case commandHealthcheck:
		err = healthcheck(ctx, c.Addr)
	default:
		err = serve(ctx, c, do == commandDemo, stdout, newLogger(stderr, c.logLevel(do)))
	}
	if err != nil {
		complain(stderr, err)
		return exitFailed
	}
	return exitOK
}

// serve serves until ctx ends, and shows the example run meanwhile if asked to.
func serve(ctx context.Context, c Config, demo bool, stdout io.Writer, log *zap.Logger) error {
	s, err := newServer(ctx, c, log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { settle(ctx, s.Ready()) })
	if demo {
		beside.Go(func() { showDemo(ctx, s, stdout) })
	}
	err = s.Run(ctx)
	cancel()
	beside.Wait()
	return err
}

// healthcheck asks the server on an address whether it lives.
func healthcheck(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	resp, err := get(ctx, "http://"+reachable(addr)+"/livez")
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /livez: status %d", resp.StatusCode)
	}
	return nil
}

// complain writes each fault on a line of its own.
func complain(stderr io.Writer, err error) {
	for fault := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintln(stderr, "server:", strings.TrimSpace(fault))
	}
}

// untilSignal returns a context that ends with the first SIGTERM or SIGINT. The
// second one ends the process.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	done := make(chan struct{})
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for range 2 {
			select {
			case <-signals:
			case <-done:
				return
			}
			if ctx.Err() != nil {
				os.Exit(exitFailed)
			}
			cancel()
		}
	}()
	return ctx, func() { signal.Stop(signals); close(done); cancel() }
}

// newLogger returns a logger of JSON lines.
func newLogger(w io.Writer, level zapcore.Level) *zap.Logger {
	form := zap.NewProductionEncoderConfig()
	form.TimeKey = "time"
	form.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	form.EncodeDuration = zapcore.StringDurationEncoder
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(form), zapcore.Lock(zapcore.AddSync(w)), level))
}
