pid$1::$$2:$3 { trace($target); trace($$2); trace($1 + $3); @[$pid, $uid] = sum(arg0); }
