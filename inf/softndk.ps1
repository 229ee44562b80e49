# What install.ps1 and uninstall.ps1 share: the names of softndk's parts, and the single operations on them. Every function
# does one thing, throws when it can't, and asks nobody; the scripts decide what runs and when.

$SoftndkHardwareId = 'root\softndk'
$SoftndkProtocolId = 'softndk_protocol'
$SoftndkService = 'softndk'
$SoftndkInfs = 'softndk.inf', 'softndk_protocol.inf'
$SoftndkFiles = $SoftndkInfs + 'softndk.sys', 'softndk.cat', 'softndk.cer'
$SoftndkCertificateStores = 'Cert:\LocalMachine\Root', 'Cert:\LocalMachine\TrustedPublisher'
$SoftndkBindingsKey = "HKLM:\SYSTEM\CurrentControlSet\Services\$SoftndkService\Parameters\Adapters"
# What goes up to the virtual adapter; everything over TCP/IP follows by itself.
$SoftndkUpperComponents = 'ms_tcpip', 'ms_tcpip6'

# Runs a program; a code other than success, or "success, restart needed", is an error.
function Invoke-Tool([string] $Program) {
    $output = & $Program @args 2>&1
    if ($LASTEXITCODE -notin 0, 259, 3010) { throw "$Program $($args -join ' ') ended with $LASTEXITCODE`n$($output -join "`n")" }
    Write-Verbose ($output -join "`n")
}

function Test-SoftndkMachine {
    if (-not [Environment]::Is64BitOperatingSystem -or $env:PROCESSOR_ARCHITECTURE -ne 'AMD64') { throw 'softndk needs 64-bit Windows on an x64 processor.' }
    $build = [Environment]::OSVersion.Version.Build
    if ($build -lt 19041) { throw "softndk needs Windows build 19041 or later (Windows 10 2004, Server 2022); this is $build." }
    $signing = Get-ItemPropertyValue 'HKLM:\SYSTEM\CurrentControlSet\Control' SystemStartOptions
    if ($signing -notmatch 'TESTSIGNING') {
        throw "Test signing is off. Run 'bcdedit /set testsigning on' (Secure Boot must be off) and restart."
    }
    $edition = Get-ItemPropertyValue 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion' EditionID
    if ($edition -notmatch 'Server|Enterprise|Education|ProfessionalWorkstation') {
        Write-Warning "Windows edition '$edition' has no SMB Direct; other NDK consumers work. SMB Direct needs Server, Enterprise, Education or Pro for Workstations."
    }
}

function Test-SoftndkPackage([string] $Package) {
    $missing = $SoftndkFiles | Where-Object { -not (Test-Path (Join-Path $Package $_)) }
    if ($missing) { throw "The package in '$Package' is not complete: $($missing -join ', ') missing." }
}

function Remove-SoftndkCertificate([string] $File) {
    $thumbprint = (Get-PfxCertificate -FilePath $File).Thumbprint
    foreach ($store in $SoftndkCertificateStores) {
        Get-ChildItem $store | Where-Object Thumbprint -EQ $thumbprint | Remove-Item
    }
}

# Every copy of our packages in the driver store, by the INF's original name.
function Remove-SoftndkDriverPackages {
    $drivers = Get-WindowsDriver -Online | Where-Object { (Split-Path -Leaf $_.OriginalFileName) -in $SoftndkInfs }
    foreach ($driver in $drivers) { Invoke-Tool pnputil.exe /delete-driver $driver.Driver /uninstall /force }
}

function Get-SoftndkAdapter {
    Get-NetAdapter -IncludeHidden | Where-Object ComponentID -EQ $SoftndkHardwareId | Select-Object -First 1
}

function Test-SoftndkProtocol {
    [bool](Get-NetAdapterBinding -AllBindings -ComponentID $SoftndkProtocolId -ErrorAction SilentlyContinue)
}

# Looks until something is there, for a minute.
function Wait-For([string] $What, [scriptblock] $Look) {
    for ($i = 0; $i -lt 120; $i++) {
        $found = & $Look
        if ($found) { return $found }
        Start-Sleep -Milliseconds 500
    }
    throw "$What did not appear within a minute."
}

function Wait-SoftndkAdapter { Wait-For 'The virtual adapter' { Get-SoftndkAdapter } }
function Wait-SoftndkUp { Wait-For 'The virtual adapter as up' { Get-SoftndkAdapter | Where-Object Status -EQ 'Up' } | Out-Null }

# SetupAPI and newdev, which make a root-enumerated device and give it its driver.
function Import-SoftndkSetupApi {
    if ('Softndk.SetupApi' -as [type]) { return }
    Add-Type -Namespace Softndk -Name SetupApi -UsingNamespace System.ComponentModel -MemberDefinition @'
[StructLayout(LayoutKind.Sequential)]
struct SP_DEVINFO_DATA { public int cbSize; public Guid ClassGuid; public int DevInst; public IntPtr Reserved; }

const int DICD_GENERATE_ID = 1, SPDRP_HARDWAREID = 1, DIF_REGISTERDEVICE = 0x19, INSTALLFLAG_FORCE = 1;

[DllImport("setupapi.dll", SetLastError = true)]
static extern IntPtr SetupDiCreateDeviceInfoList(ref Guid classGuid, IntPtr parent);
[DllImport("setupapi.dll", SetLastError = true, CharSet = CharSet.Unicode)]
static extern bool SetupDiCreateDeviceInfoW(IntPtr set, string name, ref Guid classGuid, string description, IntPtr parent, int flags, ref SP_DEVINFO_DATA data);
[DllImport("setupapi.dll", SetLastError = true)]
static extern bool SetupDiSetDeviceRegistryPropertyW(IntPtr set, ref SP_DEVINFO_DATA data, int property, byte[] value, int size);
[DllImport("setupapi.dll", SetLastError = true)]
static extern bool SetupDiCallClassInstaller(int function, IntPtr set, ref SP_DEVINFO_DATA data);
[DllImport("setupapi.dll", SetLastError = true)]
static extern bool SetupDiDestroyDeviceInfoList(IntPtr set);
[DllImport("newdev.dll", SetLastError = true, CharSet = CharSet.Unicode)]
static extern bool UpdateDriverForPlugAndPlayDevicesW(IntPtr parent, string hardwareId, string inf, int flags, out bool restart);

static void Check(bool ok, string what) {
    if (!ok) throw new Win32Exception(Marshal.GetLastWin32Error(), what + ": " + new Win32Exception(Marshal.GetLastWin32Error()).Message);
}

public static void Create(string hardwareId) {
    Guid net = new Guid("4d36e972-e325-11ce-bfc1-08002be10318");
    IntPtr set = SetupDiCreateDeviceInfoList(ref net, IntPtr.Zero);
    Check(set != new IntPtr(-1), "SetupDiCreateDeviceInfoList");
    try {
        SP_DEVINFO_DATA data = new SP_DEVINFO_DATA();
        data.cbSize = Marshal.SizeOf(data);
        Check(SetupDiCreateDeviceInfoW(set, "Net", ref net, null, IntPtr.Zero, DICD_GENERATE_ID, ref data), "SetupDiCreateDeviceInfo");
        byte[] ids = System.Text.Encoding.Unicode.GetBytes(hardwareId + "\0\0");
        Check(SetupDiSetDeviceRegistryPropertyW(set, ref data, SPDRP_HARDWAREID, ids, ids.Length), "SetupDiSetDeviceRegistryProperty");
        Check(SetupDiCallClassInstaller(DIF_REGISTERDEVICE, set, ref data), "SetupDiCallClassInstaller");
    } finally { SetupDiDestroyDeviceInfoList(set); }
}

public static bool Update(string hardwareId, string inf) {
    bool restart;
    Check(UpdateDriverForPlugAndPlayDevicesW(IntPtr.Zero, hardwareId, inf, INSTALLFLAG_FORCE, out restart), "UpdateDriverForPlugAndPlayDevices");
    return restart;
}
'@
}

function New-SoftndkDevice([string] $Inf) {
    Import-SoftndkSetupApi
    [Softndk.SetupApi]::Create($SoftndkHardwareId)
    try {
        if ([Softndk.SetupApi]::Update($SoftndkHardwareId, (Resolve-Path $Inf).Path)) { Write-Warning 'Windows wants a restart.' }
    }
    catch { Remove-SoftndkDevice; throw }
}

function Remove-SoftndkDevice {
    $devices = Get-PnpDevice -Class Net -ErrorAction SilentlyContinue | Where-Object { $_.HardwareID -contains $SoftndkHardwareId }
    foreach ($device in $devices) { Invoke-Tool pnputil.exe /remove-device $device.InstanceId }
}

# The protocol reads, with the binding's handle, which virtual adapter is over the network adapter.
function Set-SoftndkPairing($Nic, $Virtual) {
    $key = Join-Path $SoftndkBindingsKey $Nic.InterfaceGuid
    New-Item -Path $key -Force | Out-Null
    New-ItemProperty -Path $key -Name UpperBindings -PropertyType MultiString -Value "\Device\$($Virtual.InterfaceGuid)" -Force | Out-Null
}

function Remove-SoftndkPairing($Nic) {
    Disable-NetAdapterBinding -Name $Nic.Name -ComponentID $SoftndkProtocolId -ErrorAction SilentlyContinue
    $key = Join-Path $SoftndkBindingsKey $Nic.InterfaceGuid
    if (Test-Path $key) { Remove-Item -Path $key -Recurse }
}

function Get-SoftndkPairedNics {
    if (-not (Test-Path $SoftndkBindingsKey)) { return }
    $guids = (Get-ChildItem $SoftndkBindingsKey).PSChildName
    Get-NetAdapter -IncludeHidden | Where-Object { $_.InterfaceGuid -in $guids -and $_.ComponentID -ne $SoftndkHardwareId }
}

# Protocol on the network adapter only, TCP/IP on the virtual adapter only. The protocol comes last: its bind brings the
# virtual adapter up.
function Set-SoftndkBindings($Nic, $Virtual) {
    Disable-NetAdapterBinding -Name $Virtual.Name -ComponentID $SoftndkProtocolId
    foreach ($component in $SoftndkUpperComponents) {
        Disable-NetAdapterBinding -Name $Nic.Name -ComponentID $component
        Enable-NetAdapterBinding -Name $Virtual.Name -ComponentID $component
    }
    Enable-NetAdapterBinding -Name $Nic.Name -ComponentID $SoftndkProtocolId
}

function Restore-SoftndkNic($Nic, $Address) {
    foreach ($component in $SoftndkUpperComponents) { Enable-NetAdapterBinding -Name $Nic.Name -ComponentID $component }
    if ($Address) { Restore-SoftndkAddress -Alias $Nic.Name -Address $Address }
}

# What an adapter has that was not given by DHCP or a router: addresses, routes, DNS servers.
function Save-SoftndkAddress($Nic) {
    $index = $Nic.InterfaceIndex
    $addresses = @(Get-NetIPAddress -InterfaceIndex $index -ErrorAction SilentlyContinue | Where-Object PrefixOrigin -EQ 'Manual')
    $routes = @(Get-NetRoute -InterfaceIndex $index -PolicyStore PersistentStore -ErrorAction SilentlyContinue)
    $static = (Get-NetIPInterface -InterfaceIndex $index -AddressFamily IPv4 -ErrorAction SilentlyContinue).Dhcp -eq 'Disabled'
    $dns = @((Get-DnsClientServerAddress -InterfaceIndex $index -ErrorAction SilentlyContinue).ServerAddresses)
    $text = if ($addresses) { $addresses.IPAddress -join ', ' } else { 'by DHCP' }
    [pscustomobject]@{ Addresses = $addresses; Routes = $routes; Dns = if ($static) { $dns } else { @() }; Text = $text }
}

function Restore-SoftndkAddress([string] $Alias, $Address) {
    foreach ($one in $Address.Addresses) {
        $there = Get-NetIPAddress -InterfaceAlias $Alias -IPAddress $one.IPAddress -ErrorAction SilentlyContinue
        if (-not $there) { New-NetIPAddress -InterfaceAlias $Alias -IPAddress $one.IPAddress -PrefixLength $one.PrefixLength | Out-Null }
    }
    foreach ($route in $Address.Routes) {
        $there = Get-NetRoute -InterfaceAlias $Alias -DestinationPrefix $route.DestinationPrefix -NextHop $route.NextHop -ErrorAction SilentlyContinue
        if (-not $there) { New-NetRoute -InterfaceAlias $Alias -DestinationPrefix $route.DestinationPrefix -NextHop $route.NextHop -RouteMetric $route.RouteMetric | Out-Null }
    }
    if ($Address.Dns) { Set-DnsClientServerAddress -InterfaceAlias $Alias -ServerAddresses $Address.Dns }
}
