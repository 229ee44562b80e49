<#
.SYNOPSIS
Installs, starts, asks, stops and removes ndkping.sys, a small NDK consumer that measures latency and bandwidth.

.DESCRIPTION
    ndkping.ps1 start [-Path C:\softndk\ndkping.sys]                  once on each side; test signing must be on
    ndkping.ps1 listen -Local 10.0.0.2 [-Port 7171]                   on the other side; serves until stop
    ndkping.ps1 info -Local 10.0.0.1                                  what the adapter says of itself
    ndkping.ps1 ping -Local 10.0.0.1 -Remote 10.0.0.2 [-Size 64] [-Count 1000] [-Operation SEND, READ, WRITE]
    ndkping.ps1 bandwidth -Local 10.0.0.1 -Remote 10.0.0.2 -Operation READ [-Size 65536] [-Depth 16] [-Total 1GB] [-Verify]
    ndkping.ps1 stop                                                  ends runs and listeners
    ndkping.ps1 remove                                                stops the driver and deletes its service
Addresses are IPv4 or IPv6. The interface is the one that has the local address. Needs an administrator.
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory, Position = 0)][ValidateSet('start', 'listen', 'info', 'ping', 'bandwidth', 'stop', 'remove')][string] $Command,
    [string] $Path = (Join-Path $PSScriptRoot 'ndkping.sys'),
    [Net.IPAddress] $Local,
    [Net.IPAddress] $Remote,
    [ValidateRange(0, 65535)][int] $Port = 7171,
    [ValidateSet('SEND', 'READ', 'WRITE')][string[]] $Operation,
    [ValidateRange(1, 4194304)][uint32] $Size = $(if ($Command -eq 'bandwidth') { 65536 } else { 64 }),
    [ValidateRange(1, 65536)][uint32] $Count = 1000,
    [ValidateRange(1, 128)][uint32] $Depth = 16,
    [uint64] $Total = 1GB,
    [uint32] $TimeoutMilliseconds = 10000,
    [switch] $Verify
)

$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 3

# The control codes and flags of ndkping/src/ioctl.rs.
$Codes = @{ Query = 0x22e004; Listen = 0x22e008; Ping = 0x22e00c; Bandwidth = 0x22e010; Stop = 0x22e014; Version = 0x22e000 }
$Operations = @{ SEND = 1; READ = 2; WRITE = 4 }

function Import-NdkpingDevice {
    if ('Ndkping.Device' -as [type]) { return }
    Add-Type -Namespace Ndkping -Name Device -UsingNamespace System.ComponentModel, Microsoft.Win32.SafeHandles -MemberDefinition @'
[DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
static extern SafeFileHandle CreateFileW(string name, uint access, uint share, IntPtr security, uint disposition, uint flags, IntPtr template);
[DllImport("kernel32.dll", SetLastError = true)]
static extern bool DeviceIoControl(SafeFileHandle device, uint code, byte[] input, int inputLength, byte[] output, int outputLength, out int returned, IntPtr overlapped);

public static byte[] Ask(uint code, byte[] input, int room)
{
    // GENERIC_READ and GENERIC_WRITE, OPEN_EXISTING.
    using (var device = CreateFileW(@"\\.\ndkping", 0xc0000000, 3, IntPtr.Zero, 3, 0, IntPtr.Zero))
    {
        if (device.IsInvalid) throw new Win32Exception(Marshal.GetLastWin32Error(), "ndkping.sys is not there: run 'ndkping.ps1 start'");
        var output = new byte[room];
        int returned;
        if (!DeviceIoControl(device, code, input, input.Length, output, room, out returned, IntPtr.Zero))
            throw new Win32Exception(Marshal.GetLastWin32Error());
        Array.Resize(ref output, returned);
        return output;
    }
}
'@
}

# Sends a request; the answer's bytes.
function Send-Request([string] $Code, [byte[]] $Data, [int] $Room) {
    Import-NdkpingDevice
    # The comma keeps an empty answer an array.
    , [Ndkping.Device]::Ask($Codes[$Code], $Data, $Room)
}

# Integers one after the other, each as wide as its type.
function ConvertTo-Bytes {
    [byte[]] $bytes = @()
    foreach ($value in $args) { $bytes += if ($value -is [byte[]]) { $value } else { [BitConverter]::GetBytes($value) } }
    , $bytes
}

# Family, port, scope and the bytes of an address: 24 bytes.
function ConvertTo-AddressBytes([Net.IPAddress] $Address, [int] $AddressPort) {
    $isV6 = $Address.AddressFamily -eq 'InterNetworkV6'
    [byte[]] $bytes = $Address.GetAddressBytes()
    [Array]::Resize([ref] $bytes, 16)
    $scope = if ($isV6) { [uint32] $Address.ScopeId } else { [uint32] 0 }
    ConvertTo-Bytes ([uint16] $(if ($isV6) { 23 } else { 2 })) ([uint16] $AddressPort) $scope $bytes
}

function Get-InterfaceIndex {
    if (-not $Local) { throw 'Which address? -Local is needed.' }
    $found = Get-NetIPAddress -IPAddress $Local.ToString() | Select-Object -First 1
    [uint32] $found.InterfaceIndex
}

function Assert-Remote { if (-not $Remote) { throw 'Ping whom? -Remote is needed.' } }

function Start-Ndkping {
    $full = (Resolve-Path $Path).Path
    if (-not $PSCmdlet.ShouldProcess($full, 'create and start the service ndkping')) { return }
    if (-not (Get-Service ndkping -ErrorAction SilentlyContinue)) {
        & sc.exe create ndkping type= kernel start= demand binPath= $full | Write-Verbose
        if ($LASTEXITCODE) { throw "sc create ended with $LASTEXITCODE" }
    }
    & sc.exe start ndkping | Write-Verbose
    # 1056: it runs already.
    if ($LASTEXITCODE -notin 0, 1056) { throw "sc start ended with $LASTEXITCODE; is test signing on, and ndkping.sys signed?" }
}

function Remove-Ndkping {
    if (-not $PSCmdlet.ShouldProcess('ndkping', 'stop and delete the service')) { return }
    & sc.exe stop ndkping | Write-Verbose
    # 1062: it did not run. 1060: there is no such service.
    if ($LASTEXITCODE -notin 0, 1060, 1062) { throw "sc stop ended with $LASTEXITCODE" }
    & sc.exe delete ndkping | Write-Verbose
    if ($LASTEXITCODE -notin 0, 1060) { throw "sc delete ended with $LASTEXITCODE" }
}

function Start-Listener {
    $request = ConvertTo-Bytes (Get-InterfaceIndex) ([uint32] 0) (ConvertTo-AddressBytes $Local $Port)
    $answer = Send-Request Listen $request 24
    [pscustomobject] @{ Local = $Local; Port = [BitConverter]::ToUInt16($answer, 2) }
}

function Get-Adapter {
    $answer = Send-Request Query (ConvertTo-Bytes (Get-InterfaceIndex) ([uint32] 0)) 96
    $names = 'FRMRPageCount', 'MaxInitiatorRequestSge', 'MaxReceiveRequestSge', 'MaxReadRequestSge', 'MaxTransferLength',
    'MaxInlineDataSize', 'MaxInboundReadLimit', 'MaxOutboundReadLimit', 'MaxReceiveQueueDepth', 'MaxInitiatorQueueDepth',
    'MaxSrqDepth', 'MaxCqDepth', 'LargeRequestThreshold', 'MaxCallerData', 'MaxCalleeData', 'AdapterFlags'
    $shown = [ordered] @{
        Version             = '{0}.{1}' -f [BitConverter]::ToUInt16($answer, 0), [BitConverter]::ToUInt16($answer, 2)
        VendorId            = '0x{0:x6}' -f [BitConverter]::ToUInt32($answer, 4)
        DeviceId            = [BitConverter]::ToUInt32($answer, 8)
        Technology          = ('undefined', 'iWARP', 'InfiniBand', 'RoCE', 'RoCEv2')[[BitConverter]::ToUInt32($answer, 12)]
        MaxRegistrationSize = [BitConverter]::ToUInt64($answer, 16)
        MaxWindowSize       = [BitConverter]::ToUInt64($answer, 24)
    }
    for ($i = 0; $i -lt $names.Count; $i++) { $shown[$names[$i]] = [BitConverter]::ToUInt32($answer, 32 + 4 * $i) }
    [pscustomobject] $shown
}

function Measure-Latency {
    Assert-Remote
    $mask = 0
    foreach ($name in $(if ($Operation) { $Operation } else { 'SEND', 'READ', 'WRITE' })) { $mask = $mask -bor $Operations[$name] }
    $request = ConvertTo-Bytes (Get-InterfaceIndex) ([uint32] $mask) $Count $Size $TimeoutMilliseconds ([uint32] 0) `
    (ConvertTo-AddressBytes $Local 0) (ConvertTo-AddressBytes $Remote $Port)
    $answer = Send-Request Ping $request 144
    $at = 0
    foreach ($name in 'SEND', 'READ', 'WRITE') {
        $words = 0..5 | ForEach-Object { [BitConverter]::ToUInt64($answer, $at + 8 * $_) }
        $at += 48
        if ($words[0]) {
            [pscustomobject] @{
                Operation = $name; Bytes = $Size; Count = $words[0]; MinUs = $words[1] / 1000; AverageUs = $words[2] / 1000
                MaxUs = $words[3] / 1000; P50Us = $words[4] / 1000; P99Us = $words[5] / 1000
            }
        }
    }
}

function Measure-Bandwidth {
    Assert-Remote
    foreach ($name in $(if ($Operation) { $Operation } else { 'READ' })) {
        $request = ConvertTo-Bytes (Get-InterfaceIndex) ([uint32] $Operations[$name]) $Size $Depth $TimeoutMilliseconds `
        ([uint32] [bool] $Verify) $Total (ConvertTo-AddressBytes $Local 0) (ConvertTo-AddressBytes $Remote $Port)
        $answer = Send-Request Bandwidth $request 32
        $bytes, $nanoseconds, $done, $wrong = 0..3 | ForEach-Object { [BitConverter]::ToUInt64($answer, 8 * $_) }
        [pscustomobject] @{
            Operation = $name; Bytes = $bytes; Operations = $done; Seconds = $nanoseconds / 1e9
            GigabitsPerSecond = [Math]::Round(8 * $bytes / [Math]::Max($nanoseconds, 1), 3)
            Mismatches = if ($Verify) { $wrong } else { $null }
        }
    }
}

switch ($Command) {
    'start' { Start-Ndkping }
    'listen' { Start-Listener }
    'info' { Get-Adapter }
    'ping' { Measure-Latency }
    'bandwidth' { Measure-Bandwidth }
    'stop' { $null = Send-Request Stop ([byte[]] @()) 0 }
    'remove' { Remove-Ndkping }
}
