package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockRetry is how often one who stands by looks whether the lock is free.
const lockRetry = 100 * time.Millisecond

// lock takes the lock file of that path for as long as the file is open: the
// kernel lets it go when the process dies, however it dies. It excludes other
// openers in this process too. The file itself stays behind, since removing it
// would let two processes lock two files of the same name.
func lock(ctx context.Context, path string, standby func()) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(lockRetry)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		if standby != nil {
			standby()
			standby = nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("lock %s: held by another process: %w", path, context.Cause(ctx)), f.Close())
		case <-tick.C:
		}
	}
}
