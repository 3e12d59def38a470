package tool

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

// inherited are the variables that every process gets.
var inherited = []string{"PATH", "HOME", "LANG", "TMPDIR", "TZ"}

// A process is an MCP server that we have started. It leads a group of its own,
// so that what it starts ends with it.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *os.File
	ended chan struct{}
	once  sync.Once
}

func startProcess(m *MCP) (*process, error) {
	cmd := exec.Command(m.Command[0], m.Command[1:]...) //nolint:gosec,noctx // the operator names it; it ends by end
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = []string{}
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Env)) {
		cmd.Env = append(cmd.Env, name+"="+m.Env[name].text())
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("no pipe: %w", err)
	}
	out, write, err := os.Pipe()
	if err != nil {
		_ = in.Close()
		return nil, fmt.Errorf("no pipe: %w", err)
	}
	cmd.Stdout = write // what it says to stderr is not for us: it may be anything
	err = cmd.Start()
	_ = write.Close()
	if err != nil {
		_ = in.Close()
		_ = out.Close()
		return nil, err
	}
	p := &process{cmd: cmd, in: in, out: out, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		p.signal(syscall.SIGKILL) // what it started and left behind
		close(p.ended)
	}()
	return p, nil
}

// abandon breaks both pipes off.
func (p *process) abandon() {
	_ = p.in.Close()
	_ = p.out.Close()
}

// end ends the process, politely at first, and whatever it has started.
func (p *process) end() {
	p.once.Do(func() {
		p.abandon()
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			select {
			case <-p.ended:
				return // its number may be another's by now
			case <-time.After(endWithin):
				p.signal(signal)
			}
		}
		<-p.ended
	})
}

func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) }
