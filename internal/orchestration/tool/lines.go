package tool

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
)

// lines reads a process's messages, a line each, and puts an error in the place of
// an answer that is too long: whoever else waits for the process goes on waiting,
// and the process lives.
type lines struct {
	from *bufio.Reader
	io.Closer
	most int // bytes of a message
	line []byte
	left []byte // of the line, to be read
}

func newLines(from io.ReadCloser, most int) *lines {
	return &lines{from: bufio.NewReaderSize(from, 64<<10), Closer: from, most: most}
}

func (l *lines) Read(p []byte) (int, error) {
	if len(l.left) == 0 {
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.left)
	l.left = l.left[n:]
	return n, nil
}

// maxLine is how many bytes more than a message may have are read of a line. Then it is
// given up, and the process with it.
const maxLine = 64 << 20

// keptOfLine is how much is kept of either end of a line that is too long.
const keptOfLine = 256

// next takes the next line, or what is there before the end.
func (l *lines) next() error {
	line, tail, long := l.line[:0], []byte(nil), false
	for read := 0; ; {
		piece, err := l.from.ReadSlice('\n')
		if read += len(piece); read > l.most+maxLine {
			return errTooLong
		}
		if !long {
			line = append(line, piece...)
			long = len(line) > l.most
			piece = line
		}
		if long {
			tail = append(tail, piece...)
			tail = append(tail[:0], tail[max(0, len(tail)-keptOfLine):]...)
			line = line[:min(len(line), keptOfLine)]
		}
		if err == bufio.ErrBufferFull { //nolint:errorlint // bufio returns it as it is
			continue
		}
		if len(line) == 0 {
			return err
		}
		break
	}
	if long {
		id := answered(line, tail)
		if id == nil {
			return errTooLong
		}
		line = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"too long"}}`+"\n", id, codeTooLong)
	}
	l.line, l.left = nil, line
	if cap(line) <= 64<<10 {
		l.line = line // most lines are short
	}
	return nil
}

// codeTooLong is of an error in the place of an answer that is too long.
const codeTooLong = -32098

// What an answer says it is to, before what it says or after it.
var (
	idFirst = regexp.MustCompile(`^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,18})\s*,`)
	idLast  = regexp.MustCompile(`\}\s*,\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,18})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$`)
)

// answered returns the id of the request that a line is the answer to, by its two
// ends; nil when they do not say.
func answered(head, tail []byte) []byte {
	if m := idFirst.FindSubmatch(head); m != nil {
		return m[1]
	}
	if m := idLast.FindSubmatch(tail); m != nil {
		return bytes.Clone(m[1])
	}
	return nil
}
